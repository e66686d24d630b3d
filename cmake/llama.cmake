# libllama as target `truffula_llama`, if scripts/build-llama has built it (once for all presets).
set(TRUFFULA_LLAMA "${PROJECT_SOURCE_DIR}/build/deps/llama" CACHE PATH
    "libllama as scripts/build-llama leaves it")
set(llama_libraries "")
foreach(name llama ggml ggml-cpu ggml-base)
    list(APPEND llama_libraries "${TRUFFULA_LLAMA}/lib/lib${name}.a")
endforeach()
foreach(file "${TRUFFULA_LLAMA}/include/llama.h" "${TRUFFULA_LLAMA}/.stamp" ${llama_libraries})
    if(NOT EXISTS "${file}")
        message(STATUS "No libllama in ${TRUFFULA_LLAMA}: truffula-shard-llama is left out "
                       "(scripts/setup builds it)")
        return()
    endif()
endforeach()

add_library(truffula_llama INTERFACE)
target_include_directories(truffula_llama SYSTEM INTERFACE "${TRUFFULA_LLAMA}/include")
target_link_libraries(truffula_llama INTERFACE
    ${llama_libraries} Threads::Threads ${CMAKE_DL_LIBS})
