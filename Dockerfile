# Does nothing but scripts/setup, the release preset and a copy: what the checks prove is what is
# in the image.
FROM debian:12 AS build
WORKDIR /truffula
COPY . .
# For /info: git's folder is not in the image.
ARG GIT_SHA
ARG DOCKER_LABEL
RUN scripts/setup --portable && cmake --preset release && cmake --build --preset release --target product

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libcurl4 libgrpc++1.51 libmimalloc2.0 libnghttp2-14 libprotobuf32 libspdlog1.10 libyaml-cpp0.7 \
        libprometheus-cpp-core1.0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home truffula
COPY --from=build /truffula/build/release/bin/truffula-router /truffula/build/release/bin/truffula-shard-sim \
    /truffula/build/release/bin/truffula-shard-llama /usr/local/bin/
COPY --from=build /truffula/config/truffula.yaml /etc/truffula/truffula.yaml
USER truffula
EXPOSE 3000
ENTRYPOINT ["truffula-router"]
