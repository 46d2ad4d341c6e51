FROM python:3.11.13-slim-bookworm

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
WORKDIR /app

# First what changes seldom, so that a change of our own code does not install NumPy again.
COPY requirements.txt ./
RUN pip install -r requirements.txt

COPY pyproject.toml setup.py README.md LICENSE ./
COPY sturgeon ./sturgeon
COPY server ./server
COPY worker ./worker
COPY trainer ./trainer
COPY migrations ./migrations
RUN pip install --no-deps --no-build-isolation .
RUN cd / && python -m trainer.compile_loops

# A new volume takes over the owner of the folder that it covers.
RUN useradd --uid 10001 --create-home sturgeon \
    && install -d -o sturgeon -g sturgeon /var/lib/sturgeon
USER 10001
WORKDIR /var/lib/sturgeon

EXPOSE 8000
ENTRYPOINT ["sturgeon"]
CMD ["serve"]
