# One image for each group of requirements (GROUP: web, stream, monitor, simulation, …), all with the same code. The code comes
# last, so that changing it does not install the requirements again.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS environment
COPY requirements/uv.txt /requirements/
RUN --mount=type=cache,target=/root/.cache \
    python3 -m venv /uv && /uv/bin/pip install -q --disable-pip-version-check --require-hashes -r /requirements/uv.txt
ARG GROUP
COPY requirements/${GROUP}.txt /requirements/
# WITHOUT: packages that the group's requirements bring and its code never imports. Byte code halves the start of large ones.
ARG WITHOUT=""
COPY stack/images/slim.sh /requirements/
RUN --mount=type=cache,target=/root/.cache \
    /uv/bin/uv venv -q --python "$(command -v python3)" /venv \
 && export UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
 && /uv/bin/uv pip sync -q --python /venv --require-hashes /requirements/${GROUP}.txt \
 && for name in ${WITHOUT}; do /uv/bin/uv pip uninstall -q --python /venv "${name}"; done \
 && sh /requirements/slim.sh /venv

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin scorehouse \
 && install -d -o 10001 -g 10001 /data /srv/reports /scratch
COPY --from=environment /venv /venv
COPY stack/images/ask stack/images/serve /usr/local/bin/
ENV PATH=/venv/bin:$PATH HOME=/tmp PYTHONPATH=/app/src:/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY . /app
ARG COMMIT=unknown
RUN echo "${COMMIT}" > /app/COMMIT
USER 10001:10001
