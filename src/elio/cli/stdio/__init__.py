"""Standard input and output of the client commands: pipes, terminals, recordings."""
