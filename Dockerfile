# Both images of Modelyard. Targets: `operator` (the controller) and `runtime` (the model server).
#
#   docker build --target runtime --tag modelyard/runtime:dev .
#   docker build --target runtime --build-arg FLAVOUR=keras --tag modelyard/runtime-keras:dev .
#
# FLAVOUR chooses what the runtime has besides the default image's libraries: catboost, keras, mlflow, torch.
#
# Everything installed is pinned by hash in requirements/; the base is the caller's choice. The only thing the base
# must have is Python 3.11 or later with the venv module, and CA certificates.

ARG BASE_IMAGE=python:3.13-slim
ARG FLAVOUR=default

# --- tools: pip and the build backend, in an environment of their own that no final image contains ---------------
FROM ${BASE_IMAGE} AS tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
RUN python3 -m venv /opt/tools
COPY requirements/build.txt /src/requirements/
RUN /opt/tools/bin/pip install --quiet --no-compile --require-hashes --requirement /src/requirements/build.txt

# --- the wheel of this checkout ----------------------------------------------------------------------------------
FROM tools AS wheel
COPY pyproject.toml README.md LICENSE /src/
COPY operator /src/operator
COPY runtime /src/runtime
COPY cli /src/cli
# A fixed date makes two builds of the same tree the same bytes.
RUN SOURCE_DATE_EPOCH=1735689600 /opt/tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels /src

# --- dependencies, before the wheel, so that a change of our code leaves these layers alone ----------------------
FROM tools AS operator-dependencies
COPY requirements/operator.txt /src/requirements/
# The Kubernetes client's thousands of typed models are never imported (the operator works on plain data), so they are
# not compiled either: 50 MB less.
RUN python3 -m venv --without-pip /opt/modelyard \
 && /opt/tools/bin/pip --python /opt/modelyard/bin/python install --quiet --no-compile --require-hashes \
        --requirement /src/requirements/operator.txt \
 && python3 -m compileall -q --invalidation-mode unchecked-hash -x 'kubernetes/.*/models/' /opt/modelyard/lib

FROM tools AS runtime-dependencies
COPY requirements/runtime.txt /src/requirements/
# The libraries' own test suites are a fifth of the image and are never imported (NumPy's are: numpy.testing uses them).
RUN python3 -m venv --without-pip /opt/modelyard \
 && /opt/tools/bin/pip --python /opt/modelyard/bin/python install --quiet --no-compile --require-hashes \
        --requirement /src/requirements/runtime.txt \
 && for package in scipy sklearn pandas joblib; do \
        find /opt/modelyard/lib/python3*/site-packages/$package -type d -name tests -prune -exec rm -r {} +; \
    done \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/modelyard/lib

# --- flavours: the default image's environment and one framework more; only the chosen one is built ---------------
FROM runtime-dependencies AS flavour-default

FROM runtime-dependencies AS flavour-catboost
COPY requirements/runtime-catboost.txt /src/requirements/
# Plotting is for notebooks: CatBoost imports it when it is asked to plot.
RUN /opt/tools/bin/pip --python /opt/modelyard/bin/python install --quiet --no-compile --require-hashes \
        --requirement /src/requirements/runtime-catboost.txt \
 && cd /opt/modelyard/lib/python3*/site-packages \
 && rm -r plotly _plotly_utils matplotlib mpl_toolkits fontTools \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/modelyard/lib

FROM runtime-dependencies AS flavour-keras
COPY requirements/runtime-keras.txt /src/requirements/
RUN /opt/tools/bin/pip --python /opt/modelyard/bin/python install --quiet --no-compile --require-hashes \
        --requirement /src/requirements/runtime-keras.txt \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/modelyard/lib

FROM runtime-dependencies AS flavour-mlflow
COPY requirements/runtime-mlflow.txt /src/requirements/
RUN /opt/tools/bin/pip --python /opt/modelyard/bin/python install --quiet --no-compile --require-hashes \
        --requirement /src/requirements/runtime-mlflow.txt \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/modelyard/lib

FROM runtime-dependencies AS flavour-torch
COPY requirements/runtime-torch.txt /src/requirements/
# PyPI's PyTorch for Linux/x86-64 is linked to CUDA's libraries, which therefore stay, unused. What it opens only when it
# computes on a GPU goes: the compiler, cuDNN's engines, solvers, headers and static libraries are 2.4 GB.
RUN /opt/tools/bin/pip --python /opt/modelyard/bin/python install --quiet --no-compile --require-hashes \
        --requirement /src/requirements/runtime-torch.txt \
 && cd /opt/modelyard/lib/python3*/site-packages \
 && rm -rf triton cuda torch/include torch/test torch/lib/libtorch_cuda_linalg.so nvidia/cu13/lib/libcusolver* \
        nvidia/cu13/lib/libnvperf* nvidia/cudnn/lib/libcudnn_* nvidia/*/include nvidia/cu13/cccl \
 && { [ ! -d nvidia ] || find nvidia torch -name '*.a' -delete; } \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/modelyard/lib

FROM operator-dependencies AS operator-environment
COPY --from=wheel /wheels /wheels
RUN /opt/tools/bin/pip --python /opt/modelyard/bin/python install --quiet --no-compile --no-deps --no-index /wheels/*.whl \
 && rm -r /opt/modelyard/bin/modelyard-runtime /opt/modelyard/lib/python3*/site-packages/modelyard_runtime \
    /opt/modelyard/bin/modelyard /opt/modelyard/bin/kubectl-modelyard /opt/modelyard/lib/python3*/site-packages/modelyard_cli \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/modelyard/lib/python3*/site-packages/modelyard_operator

FROM flavour-${FLAVOUR} AS runtime-environment
COPY --from=wheel /wheels /wheels
RUN /opt/tools/bin/pip --python /opt/modelyard/bin/python install --quiet --no-compile --no-deps --no-index /wheels/*.whl \
 && rm -r /opt/modelyard/bin/modelyard-operator /opt/modelyard/lib/python3*/site-packages/modelyard_operator \
    /opt/modelyard/bin/modelyard /opt/modelyard/bin/kubectl-modelyard /opt/modelyard/lib/python3*/site-packages/modelyard_cli \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/modelyard/lib/python3*/site-packages/modelyard_runtime

# --- what is shipped: base + one environment, not root, nothing to write to --------------------------------------
FROM ${BASE_IMAGE} AS operator
LABEL org.opencontainers.image.title="modelyard-operator" \
      org.opencontainers.image.description="Reconciles ModelDeployments into Deployments, Services, autoscalers and disruption budgets" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
COPY --from=operator-environment /opt/modelyard /opt/modelyard
USER 10001:10001
ENTRYPOINT ["/opt/modelyard/bin/modelyard-operator"]

FROM ${BASE_IMAGE} AS runtime
LABEL org.opencontainers.image.title="modelyard-runtime" \
      org.opencontainers.image.description="Fetches, verifies, loads and serves one trained model" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
COPY --from=runtime-environment /opt/modelyard /opt/modelyard
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["/opt/modelyard/bin/modelyard-runtime"]
CMD ["serve"]
