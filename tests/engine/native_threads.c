/* A library whose own threads allocate and keep what they allocated, for the tests of the hooks. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
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

static void *churn(void *nothing) {
    for (size_t size = 8; size < 8000; size += 64) {
        void *block = other ? other(size) : malloc(size);
        free(block);
    }
    return nothing;
}

/* Makes and ends threads in numbers, while they and their maker allocate. Its first instruction waits
 * for its maker, which holds a lock of the new thread's until it has set its processors. */
int make_and_end(int rounds) {
    pthread_attr_t attributes;
    cpu_set_t processors;
    pthread_t ids[THREADS];
    if (sched_getaffinity(0, sizeof processors, &processors) != 0) return -1;
    if (pthread_attr_init(&attributes) != 0) return -1;
    if (pthread_attr_setaffinity_np(&attributes, sizeof processors, &processors) != 0) return -1;
    for (int round = 0; round < rounds; round++) {
        for (int t = 0; t < THREADS; t++) {
            if (pthread_create(&ids[t], &attributes, churn, NULL) != 0) return -1;
            churn(NULL);
        }
        for (int t = 0; t < THREADS; t++) pthread_join(ids[t], NULL);
    }
    return pthread_attr_destroy(&attributes);
}

static pthread_barrier_t together;

static void *churn_together(void *nothing) {
    pthread_barrier_wait(&together);
    churn(NULL);
    pthread_barrier_wait(&together);
    return nothing;
}

/* So many threads that live at the same time, each of which allocates. */
int all_at_once(int threads) {
    pthread_attr_t attributes;
    pthread_t *ids = calloc(threads, sizeof *ids);
    if (ids == NULL || pthread_attr_init(&attributes) != 0) return -1;
    if (pthread_attr_setstacksize(&attributes, 128 * 1024) != 0) return -1;
    if (pthread_barrier_init(&together, NULL, threads) != 0) return -1;
    for (int t = 0; t < threads; t++)
        if (pthread_create(&ids[t], &attributes, churn_together, NULL) != 0) abort();
    for (int t = 0; t < threads; t++) pthread_join(ids[t], NULL);
    free(ids);
    pthread_barrier_destroy(&together);
    return pthread_attr_destroy(&attributes);
}
