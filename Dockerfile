# The image of a worker: the program and its hash-locked dependencies in one folder on a slim base.
#
# Law of the file: what runs is not root, writes nothing outside /tmp, and every byte that is not
# from the base or this repository has a hash in requirements.lock.
#
# The base is an argument, so that a mirror or a base of one's own can stand in. Its digest is the
# multi-architecture index of the tag; the dependency updates raise both together. Python 3.11 is
# the version that all tests run on.
ARG BASE=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build

# Where pip looks, for a build that reaches no package index: a folder of wheels, and nothing else.
ARG PIP_FIND_LINKS=
ARG PIP_NO_INDEX=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# The environment that is shipped has no pip: an environment beside it installs into it.
RUN python3 -m venv /opt/tools && python3 -m venv --without-pip /opt/streamproc

WORKDIR /src

# Dependencies before sources: a change of the program leaves this layer as it is. Wheels only, with
# the one exception that has none for 64-bit ARM; without a compiler it is built as plain Python.
COPY requirements.lock requirements-dev.lock ./
RUN case "$(uname -m)" in aarch64) sources="faust-streaming" ;; *) sources=":none:" ;; esac \
    && /opt/tools/bin/pip --python /opt/streamproc/bin/python3 install --no-compile --no-deps \
        --require-hashes --only-binary :all: --no-binary "$sources" --requirement requirements.lock \
    # The build backend, as the development lock has it.
    && awk '/^setuptools==/ { found = 1 } found { print } found && !/\\$/ { exit }' \
        requirements-dev.lock > backend.lock \
    && /opt/tools/bin/pip install --no-deps --require-hashes --only-binary :all: \
        --requirement backend.lock

COPY pyproject.toml README.md LICENSE ./
COPY rules rules
COPY streamproc streamproc
# Bytecode is made here, for nothing can be written later; its validity hangs on no file dates.
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/tools/bin/pip --python /opt/streamproc/bin/python3 install --no-compile --no-deps \
        --no-index dist/*.whl \
    && /opt/streamproc/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        /opt/streamproc/lib


FROM ${BASE}

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="streamproc" \
      org.opencontainers.image.description="Elastic EQL detection rules on a Kafka stream" \
      org.opencontainers.image.licenses="Apache-2.0 AND Elastic-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

COPY --from=build /opt/streamproc /opt/streamproc

ENV PATH=/opt/streamproc/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# A number, so that Kubernetes can see that it is not root's; it owns no file of the image.
USER 65532:65532
WORKDIR /tmp
# Only documentation: /metrics, once metrics_host says that others may read it.
EXPOSE 9464
# The worker finishes its batch, commits and leaves the group.
STOPSIGNAL SIGTERM
ENTRYPOINT ["streamproc"]
CMD ["worker"]
