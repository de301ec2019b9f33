#!/bin/sh
# Runs a command. With RAY_HEAD=HOST:PORT this container is a node of that Ray cluster first, one that offers no CPU and no GPU:
# so FA_RAY_ADDRESS=auto finds the cluster, and the work is done elsewhere.
set -eu

if [ -n "${RAY_HEAD:-}" ]; then
  said=$(mktemp)
  # Again whenever it ends, for the head may be restarted.
  while true; do
    ray start --address="$RAY_HEAD" --num-cpus=0 --num-gpus=0 --disable-usage-stats --block >"$said" 2>&1 || true
    sleep 5
  done &
  waited=0
  until grep -q "Ray runtime started" "$said"; do
    if [ "$waited" -ge "${RAY_HEAD_TIMEOUT_S:-300}" ]; then
      cat "$said" >&2
      echo "No Ray head at RAY_HEAD=$RAY_HEAD: see that it runs, that this container reaches it and has its token." >&2
      kill $!
      exit 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
fi

exec "$@"
