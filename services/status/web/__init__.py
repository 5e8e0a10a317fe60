"""The pages for people: rendered on the server, whole without scripts; a script keeps counters live."""
