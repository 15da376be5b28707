#!/usr/bin/env bash
# Prints the RUN_ID of a commit's .env.cloud, quoted or not: `deploy/run-id.sh COMMIT`; nothing if it is empty.
set -euo pipefail
git show "${1:?which commit}:.env.cloud" 2>/dev/null |
  sed -nE "s/^[[:space:]]*(export[[:space:]]+)?RUN_ID[[:space:]]*=[[:space:]]*['\"]?([0-9a-z]*).*/\\2/p" | tail -n 1 || true
