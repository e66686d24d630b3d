# Flags that every target of ours shares. Linked PRIVATE, so generated code is not warned about.
add_library(truffula_flags INTERFACE)
target_compile_options(truffula_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Woverloaded-virtual
    $<$<BOOL:${TRUFFULA_WERROR}>:-Werror>
    # False positives of GCC 12 on coroutine frames and on moves of optional and variant.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete -Wno-maybe-uninitialized>
    # Clang warns of what libstdc++'s stable algorithms call, which that deprecates itself.
    $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)

# Applies to all that is linked together, generated code included: link it PUBLIC.
add_library(truffula_sanitize INTERFACE)
if(TRUFFULA_SANITIZE)
    target_compile_options(truffula_sanitize INTERFACE
        -fsanitize=${TRUFFULA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1
        $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
    target_link_options(truffula_sanitize INTERFACE -fsanitize=${TRUFFULA_SANITIZE})
endif()
