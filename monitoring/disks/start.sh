#!/bin/sh
# Starts node-exporter with the arguments given: in Compose as the entrypoint of the containers that measure disks.
#
#   SERVICE_SECRET, SERVICE_SECRET_BCRYPT    the secret of the services, and its hash: node-exporter asks for it as the password
#       of the user `scorehouse`
#
# `start.sh --ready` exits with 0 if node-exporter in this container is ready: wget would show the password in its arguments.
set -eu
umask 077
if [ "${1:-}" = --ready ]; then
  secret=$(printf 'scorehouse:%s' "$SERVICE_SECRET" | base64 | tr -d '\n')
  printf 'GET /metrics HTTP/1.0\r\nAuthorization: Basic %s\r\n\r\n' "$secret" | busybox nc -w 5 127.0.0.1 9100 | grep -q '^HTTP/1.. 200'
  exit
fi
: "${SERVICE_SECRET_BCRYPT:?set it to the hash of SERVICE_SECRET: without it, everybody could ask}"
printf "basic_auth_users: {scorehouse: '%s'}\n" "$SERVICE_SECRET_BCRYPT" > /tmp/web.yml
exec node_exporter --web.config.file=/tmp/web.yml "$@"
