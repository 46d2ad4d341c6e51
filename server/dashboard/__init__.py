"""The web page: templates, a style sheet and JavaScript modules; all data come from `/v1`."""
