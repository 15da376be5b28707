#!/usr/bin/env bash
# Deploys a commit of main on this machine in the cloud: check it out, serve the run that its .env.cloud names if that
# changed, and ask for a prediction; if that fails, go back to the commit and the run before. It is the only command that the
# deployment's key may run:
#   command="/opt/scorehouse/deploy/vm.sh",restrict ssh-ed25519 AAAA… deploy
# It is called by `ssh scorehouse@machine COMMIT`. Status: 0 deployed, 1 gone back, 2 refused, 3 neither commit serves.
#
#   SCOREHOUSE_START, SCOREHOUSE_BUILD, SCOREHOUSE_CHECK, SCOREHOUSE_HISTORY    commands to use instead of the Makefile's,
#   without Docker
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit 2
asked=${SSH_ORIGINAL_COMMAND:-${1:-}}
start=${SCOREHOUSE_START:-make start-serve env=cloud}
build=${SCOREHOUSE_BUILD:-make setup-model-registry setup-model-serve env=cloud}
check=${SCOREHOUSE_CHECK:-make check env=cloud}
history=${SCOREHOUSE_HISTORY:-make -s deployments env=cloud}

main() {
  [[ $asked =~ ^[0-9a-f]{40}$ ]] || refuse "the commit must be 40 hex digits, not '${asked:0:60}'"
  exec 9> .git/deploy.lock
  flock --timeout 1800 9 || refuse "another deployment is running"
  local before; before=$(git rev-parse HEAD)
  git fetch --quiet origin main || refuse "the repository cannot be reached: check its address and this machine's key"
  git merge-base --is-ancestor "$asked" origin/main || refuse "$asked is not on main"
  [ -z "$(git status --porcelain --untracked-files=no)" ] ||
    refuse "files were changed on this machine (see git status): its own settings belong in .env.cloud.machine"
  ! grep -qsE '^[[:space:]]*(export[[:space:]]+)?RUN_ID[[:space:]]*=' .env.cloud.machine ||
    refuse "RUN_ID in .env.cloud.machine overrides every commit's: remove that line"
  local served; served=$(serving)
  export CHANGED_BY=${CHANGED_BY:-deploy} WHY="commit ${asked:0:12}"

  if go_to "$asked" "$before"; then echo "deployed $asked"; return 0; fi
  echo "going back to $before" >&2
  export WHY="back from commit ${asked:0:12}, which failed"
  # The run goes back as well. Without this, an older RUN_ID would be deployed again that somebody had rolled back from.
  [ -z "$served" ] || [ "$(serving)" = "$served" ] || [ "$(deploy/run-id.sh "$before")" = production ] || export RUN_ID=$served
  if go_to "$before" "$asked"; then echo "gone back to $before; ${asked:0:12} is not deployed" >&2; return 1; fi
  echo "neither $asked nor $before serves: log in to the machine" >&2
  return 3
}

# Check out commit $1 after $2. Both halves are built and started again only if code or a setting other than RUN_ID differs:
# RUN_ID alone restarts nothing.
go_to() {
  git checkout --quiet --detach "$1" || return 1
  local command=$start
  git diff --quiet "$2" "$1" -- Dockerfile mlflow docker-compose-*.yml pyproject.toml requirements src use_cases \
    model_orchestration server simulation_business monitoring reporting web_service stack || command=$build
  git diff --unified=0 "$2" "$1" -- .env .env.cloud | grep -E '^[-+][[:space:]]*[A-Za-z]' |
    grep -vE '^[-+][[:space:]]*(export[[:space:]]+)?RUN_ID[[:space:]]*=' >/dev/null && command=$build
  $command && $check
}

# The run that the registry names: the first in the list of deployments.
serving() { $history 2>/dev/null | grep -oE '\b[0-9a-f]{32}\b' | head -n 1; }

refuse() { echo "refused: $1" >&2; exit 2; }

main; exit
