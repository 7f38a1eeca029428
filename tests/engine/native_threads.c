/* A library whose own threads allocate and keep what they allocated, for the tests of the hooks. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 16
#define BLOCKS 1024

static void *kept[THREADS][BLOCKS];

typedef void *(*allocator)(size_t);

/* Where blocks come from, if not from malloc: `operator new` of the C++ library. */
static allocator other;

/* From now on blocks come from `operator new`. Returns 0 if there is one. */
int use_operator_new(void) {
    void *library = dlopen("libstdc++.so.6", RTLD_NOW);
    allocator found = library ? (allocator)dlsym(library, "_Znwm") : NULL;
    if (found == NULL) return -1;
    other = found;
    return 0;
}

struct work {
    int thread, blocks;
    size_t size;
};

static void *run(void *argument) {
    struct work *work = argument;
    for (int i = 0; i < work->blocks; i++) {
        char *block = other ? other(work->size) : malloc(work->size);
        if (block != NULL) memset(block, 1, work->size);
        kept[work->thread][i] = block;
    }
    return NULL;
}

/* Starts so many threads, each of which allocates so many blocks, and waits for them. */
int allocate(int threads, int blocks, size_t size) {
    pthread_t ids[THREADS];
    struct work works[THREADS];
    if (threads > THREADS || blocks > BLOCKS) return -1;
    for (int t = 0; t < threads; t++) {
        works[t] = (struct work){t, blocks, size};
        if (pthread_create(&ids[t], NULL, run, &works[t]) != 0) return -1;
    }
    for (int t = 0; t < threads; t++) pthread_join(ids[t], NULL);
    return 0;
}

/* Frees everything that was kept; blocks come from malloc again. */
void release(void) {
    other = NULL;
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < BLOCKS; i++) {
            free(kept[t][i]);
            kept[t][i] = NULL;
        }
    }
}
