"""One function per job, plain arguments, returns records: where the siblings of layer 3 meet."""
