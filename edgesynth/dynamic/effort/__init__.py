"""DyVEDeep (arXiv:1704.01137): convolutions that leave out what an input does not need."""
