"""The running system: recorder, processor and trainer processes, and the command line."""
