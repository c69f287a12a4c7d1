"""Everything that speaks to other software: sources, outputs and the wire between them."""
