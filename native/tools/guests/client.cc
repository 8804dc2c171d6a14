// The tests' hand on a supervisor of guests: datagrams with descriptors, which Node itself cannot
// receive.
#include <napi.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "tools/guests/message.h"

namespace {

using devlxd::OwnFd;
using devlxd::guests::Message;

constexpr int kPatienceSeconds = 20;

int number(const Napi::CallbackInfo& info, size_t index) {
  return info[index].As<Napi::Number>().Int32Value();
}

// socketpair(): [ours, theirs]
Napi::Value make_socketpair(const Napi::CallbackInfo& info) {
  int pair[2] = {-1, -1};
  socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
  const timeval patience = {kPatienceSeconds, 0};
  setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const int bytes = 1 << 18;  // for one long reply
  setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result[0u] = pair[0];
  result[1u] = pair[1];
  return result;
}

// request(fd, text): { reply, fd }, fd -1 when none came; waits for it.
Napi::Value request(const Napi::CallbackInfo& info) {
  Message answer;
  const std::string text = info[1].As<Napi::String>();
  if (!devlxd::guests::send_message(number(info, 0), text) ||
      !devlxd::guests::receive_message(number(info, 0), answer)) {
    answer.text = std::string("error no answer: ") + strerror(errno);
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result["reply"] = answer.text;
  result["fd"] = answer.fd.release();
  return result;
}

void close_fd(const Napi::CallbackInfo& info) { OwnFd closed(number(info, 0)); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports["socketpair"] = Napi::Function::New(env, make_socketpair);
  exports["request"] = Napi::Function::New(env, request);
  exports["close"] = Napi::Function::New(env, close_fd);
  return exports;
}

}  // namespace

NODE_API_MODULE(guests_client, init)
