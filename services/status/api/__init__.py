"""REST and server-sent events over the read model."""
