"""The only face for people: takes every fact, gives pages, REST and events, publishes commands as any client does; owns the read model."""
