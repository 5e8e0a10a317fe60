"""The migrations of PostgreSQL: one chain per service, in its schema, run by the owner of the schemas."""
