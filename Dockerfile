# Orbit as one container:
#   docker build -t orbit .
#   docker run --name orbit -p 3000:3000 -v orbit:/app/var --env-file .env orbit
# docs/deploy.md has the rest: the first user, several containers, health checks.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS packages
WORKDIR /build
COPY requirements.txt .
# Wheels only, each checked against its hash: nothing is compiled or run during the installation.
RUN python -m venv /opt/orbit \
 && /opt/orbit/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes -r requirements.txt

FROM python:${PYTHON}
# tini is process 1: it reaps zombies and passes signals on from the first moment.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 orbit \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin orbit \
 && install --directory --owner=10001 --group=10001 --mode=755 /app/var
COPY --from=packages /opt/orbit /opt/orbit
WORKDIR /app
COPY manage.py ./
COPY orbit_site orbit_site
COPY orbit orbit
COPY telemetry telemetry
COPY advisory advisory
COPY governance governance
COPY templates templates
COPY config config
COPY demo demo
COPY docs/api.md docs/
RUN /opt/orbit/bin/python -m compileall -q /app
# Inside a container 127.0.0.1 is the container itself; `docker run -p` decides who reaches the port.
ENV PATH=/opt/orbit/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORBIT_BIND=0.0.0.0
# The only writable place: the embedded database, and the keys that development creates.
VOLUME /app/var
EXPOSE 3000
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --retries=4 CMD ["python", "manage.py", "health", "up"]
ENTRYPOINT ["tini", "--", "python", "manage.py"]
CMD ["up"]
