"""The server: FastAPI on SQLAlchemy Core."""

from sturgeon.extras import require as _require

_require("local", "The server")
