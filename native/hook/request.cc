#include "hook/request.h"

#include "hook/json.h"

namespace devlxd::hook {
namespace {

std::string json_member(std::string_view variable) {
  const size_t equals = variable.find('=');
  return json_string(variable.substr(0, equals)) + ":" + json_string(variable.substr(equals + 1));
}

}  // namespace

std::string request_of(const Order& order) {
  std::string arguments;
  for (const std::string& argument : order.arguments) {
    arguments += (arguments.empty() ? "" : ",") + json_string(argument);
  }
  std::string environment;
  for (const std::string& variable : order.environment) {
    environment += (environment.empty() ? "" : ",") + json_member(variable);
  }
  const std::string body = "{\"arguments\":[" + arguments + "],\"environment\":{" + environment +
                           "},\"input\":" + json_string(order.input) + "}";
  return "POST /1.0/hooks/" + order.runtime +
         " HTTP/1.0\r\nHost: devlxd\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace devlxd::hook
