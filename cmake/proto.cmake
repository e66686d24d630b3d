# Messages only (the router links these), and service stubs on top (shards and tests).
add_library(truffula_proto STATIC ${PROJECT_SOURCE_DIR}/proto/generate.proto)
protobuf_generate(TARGET truffula_proto LANGUAGE cpp IMPORT_DIRS ${PROJECT_SOURCE_DIR}/proto)
target_include_directories(truffula_proto SYSTEM PUBLIC
    ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_CURRENT_BINARY_DIR}/proto)
target_link_libraries(truffula_proto PUBLIC protobuf::libprotobuf truffula_sanitize)

add_library(truffula_grpc STATIC ${PROJECT_SOURCE_DIR}/proto/generate.proto)
protobuf_generate(TARGET truffula_grpc LANGUAGE grpc
    GENERATE_EXTENSIONS .grpc.pb.h .grpc.pb.cc
    PLUGIN "protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>"
    IMPORT_DIRS ${PROJECT_SOURCE_DIR}/proto)
target_include_directories(truffula_grpc SYSTEM PUBLIC
    ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_CURRENT_BINARY_DIR}/proto)
target_link_libraries(truffula_grpc PUBLIC truffula_proto gRPC::grpc++)
add_dependencies(truffula_grpc truffula_proto)
