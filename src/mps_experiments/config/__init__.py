"""Options, and the way from a command line to the cells that it asks for."""
