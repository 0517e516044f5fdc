# syntax=docker/dockerfile:1
# Two stages: what builds is not what runs. The node writes to /data only, so the root file system can be read-only:
#   docker run --read-only --tmpfs /tmp -v cordon:/data -p 8000:8000 cordon:latest

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/cordon/venv
COPY requirements/runtime.txt /opt/cordon/
RUN /opt/cordon/venv/bin/python -m pip install --no-input --require-hashes -r /opt/cordon/runtime.txt

FROM python:3.11-slim
LABEL org.opencontainers.image.title="cordon" \
      org.opencontainers.image.description="A federated registry node for scam wallets" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 cordon \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin cordon \
 && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /opt/cordon/venv /opt/cordon/venv
COPY app /opt/cordon/app
COPY migrations /opt/cordon/migrations
COPY pyproject.toml LICENSE /opt/cordon/
# Compiled once here: a read-only file system could not keep what the first start compiles.
RUN /opt/cordon/venv/bin/python -m compileall -q /opt/cordon/app /opt/cordon/migrations \
 && printf '#!/bin/sh\nexec /opt/cordon/venv/bin/python -P -m app.cli "$@"\n' > /usr/local/bin/cordon \
 && chmod 755 /usr/local/bin/cordon
ENV PYTHONPATH=/opt/cordon PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CORDON_DATA_DIR=/data CORDON_HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Through the door that clients use, by the command line: the image holds no curl. Exit 3 when nothing answers.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["cordon", "member", "list", "--json", "--node", "http://127.0.0.1:8000"]
# The handler of SIGTERM drains for up to 30 s: give `docker stop` more than that.
STOPSIGNAL SIGTERM
CMD ["/opt/cordon/venv/bin/python", "-P", "-m", "uvicorn", "app.main:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", "--no-server-header", "--no-proxy-headers", "--no-access-log", "--timeout-graceful-shutdown", "30"]
