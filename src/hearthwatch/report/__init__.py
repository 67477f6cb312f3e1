"""Events for people and programs: the annotated picture, the page, the terminal, the JSON object."""
