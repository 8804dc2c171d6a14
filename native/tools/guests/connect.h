#ifndef DEVLXD_TOOLS_GUESTS_CONNECT_H_
#define DEVLXD_TOOLS_GUESTS_CONNECT_H_

#include <string>

namespace devlxd::guests {

// A request to a guest's init: which process connects to which socket, and what becomes of it.
struct ConnectRequest {
  std::string path;
  int uid = -1;              // uid in the guest; -1: root
  int nested = 0;            // levels of further pid namespaces
  bool nested_user = false;  // with user namespaces of their own
  std::string then;          // exit or zombie: dead when the reply comes; else it stays
  bool child = false;        // not init itself, even if nothing else asks for a child
  std::string name;          // process name

  bool needs_child() const { return child || uid >= 0 || nested > 0 || dies() || !name.empty(); }
  bool dies() const { return then == "exit" || then == "zombie"; }
};

// "PATH [uid=N] [nested=N] [nested-user] [child] [then=exit|zombie] [name=REST]"
ConnectRequest parse_request(const std::string& text);

// Carries a request out in a guest and replies on socket: "ok" with the connected descriptor, or
// "error CALL: reason"; a second message, "done", follows when the request has then=.
void serve_connect(int socket, const ConnectRequest& request);

}  // namespace devlxd::guests

#endif  // DEVLXD_TOOLS_GUESTS_CONNECT_H_
