"""What travels on the wire: frozen pydantic models without behaviour. Within v1 only optional fields are added."""
