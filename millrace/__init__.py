"""What every role of Millrace shares: contracts, configuration, errors, key names, stacks and the command line."""

__version__ = "0.1.0"
