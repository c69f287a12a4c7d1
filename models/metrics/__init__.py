"""Measures of denoised images in the camera's own units: pure functions, each named after what it tells."""
