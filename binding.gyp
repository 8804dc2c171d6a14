{
  "target_defaults": {
    "cflags!": ["-fno-exceptions"],
    "cflags": [
      "-Wall", "-Wextra", "-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection",
    ],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++20", "-fno-exceptions"],
    "ldflags": ["-Wl,-z,relro,-z,now,-z,noexecstack"],
    "configurations": {
      "Release": {"defines": ["_FORTIFY_SOURCE=2"]},
    },
  },
  "targets": [
    {
      "target_name": "devlxd",
      "sources": [
        "native/addon.cc",
        "native/answers.cc",
        "native/gate.cc",
        "native/instances.cc",
        "native/listener.cc",
        "native/namespaces.cc",
        "native/peer.cc",
        "native/process.cc",
        "native/request_head.cc",
        "native/send_file.cc",
        "native/uws.cc",
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_DISABLE_CPP_EXCEPTIONS", "NAPI_VERSION=8"],
    },
    {
      "target_name": "guests",
      "type": "executable",
      "ldflags": ["-static"],
      "sources": [
        "native/guests/connect.cc",
        "native/guests/guests.cc",
        "native/guests/message.cc",
        "native/guests/run.cc",
        "native/guests/serve.cc",
        "native/guests/spawn.cc",
      ],
    },
    {
      "target_name": "guests_client",
      "sources": ["native/guests/client.cc", "native/guests/message.cc"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_DISABLE_CPP_EXCEPTIONS", "NAPI_VERSION=8"],
    },
    {
      "target_name": "bench_floor",
      "type": "executable",
      "sources": [
        "bench/native/canned_server.cc",
        "bench/native/doorman.cc",
        "bench/native/floor.cc",
        "bench/native/sockets.cc",
        "bench/native/websocket.cc",
      ],
    },
    {
      "target_name": "bench_load",
      "type": "executable",
      "sources": [
        "bench/native/answer_parser.cc",
        "bench/native/histogram.cc",
        "bench/native/holder.cc",
        "bench/native/load.cc",
        "bench/native/load_options.cc",
        "bench/native/request_load.cc",
        "bench/native/sockets.cc",
        "bench/native/tally.cc",
        "bench/native/websocket.cc",
      ],
    },
  ],
}
