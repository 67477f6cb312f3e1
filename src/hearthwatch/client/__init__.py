"""The same models over HTTP: the services' answers as the types that the models themselves give."""
