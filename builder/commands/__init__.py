"""The commands of the command line, each of which parses its arguments and calls the packages."""
