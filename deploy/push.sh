#!/usr/bin/env bash
# Deploys a commit of main on the machine DEPLOY_HOST: `deploy/push.sh COMMIT`. It exits with the status of deploy/vm.sh there.
#
#   DEPLOY_HOST, DEPLOY_USER, DEPLOY_PORT    the machine; user scorehouse and port 22 if not set
#   DEPLOY_SSH_KEY    the private key, which may run only deploy/vm.sh
#   DEPLOY_HOST_KEYS  the machine's host keys as lines of known_hosts: `ssh-keyscan HOST`, compared with the machine's own
set -euo pipefail
: "${DEPLOY_HOST:?}" "${DEPLOY_SSH_KEY:?}" "${DEPLOY_HOST_KEYS:?}"
commit=${1:?which commit}
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '%s\n' "$DEPLOY_SSH_KEY" > "$folder/key"
printf '%s\n' "$DEPLOY_HOST_KEYS" > "$folder/known_hosts"
ssh -T -F none -i "$folder/key" -p "${DEPLOY_PORT:-22}" -l "${DEPLOY_USER:-scorehouse}" \
  -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$folder/known_hosts" \
  -o GlobalKnownHostsFile=none -o ConnectTimeout=20 -o ServerAliveInterval=30 -- "$DEPLOY_HOST" "$commit"
