# The product alone: one static binary, git, and an OCI runtime for the sandbox; and conveyor-pod, for steps in pods.
# Base images should be pinned by digest where they are built for release.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -tags nomsgpack -trimpath -ldflags '-s -w -buildid=' -o /conveyor ./cmd/conveyor \
 && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -buildid=' -o /conveyor-pod ./cmd/pod

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git crun runc \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/conveyor --create-home conveyor
COPY --from=build /conveyor /conveyor-pod /usr/local/bin/
USER conveyor
ENV CONVEYOR_DATA_DIR=/var/lib/conveyor CONVEYOR_LISTEN=0.0.0.0:8080
VOLUME /var/lib/conveyor
EXPOSE 8080
ENTRYPOINT ["conveyor"]
CMD ["serve"]
