"""The science of quietscope: arrays in, arrays out; no files to watch, no sockets, no threads, no clock."""
