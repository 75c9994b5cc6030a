#!/usr/bin/env bash
# The interfaces of OpenAI's and Anthropic's clients, with curl.
set -euo pipefail
url=${QPTY_URL:-http://127.0.0.1:8080}
ask=(curl -sS --fail-with-body -H "Authorization: Bearer ${QPTY_KEY:-any-word}" -H 'Content-Type: application/json')

echo '-- models'
"${ask[@]}" "$url/v1/models"
echo; echo '-- Chat Completions'
"${ask[@]}" "$url/v1/chat/completions" -d '{
  "model": "auto", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]}'
echo; echo '-- the same, as it is typed'
"${ask[@]}" -N "$url/v1/chat/completions" -d '{
  "model": "auto", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
echo '-- Responses'
"${ask[@]}" "$url/v1/responses" -d '{"model": "auto", "input": "hello"}'
echo; echo '-- Messages'
"${ask[@]}" -H 'anthropic-version: 2023-06-01' "$url/v1/messages" -d '{
  "model": "claude-sonnet-4.5", "max_tokens": 1000, "messages": [{"role": "user", "content": "hello"}]}'
echo; echo '-- tokens, estimated'
"${ask[@]}" "$url/v1/messages/count_tokens" -d '{
  "model": "claude-sonnet-4.5", "messages": [{"role": "user", "content": "hello"}]}'
echo
