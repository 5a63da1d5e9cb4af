/*
 * Does one workload of the kernel layer's benchmark on the files that tree.ts names, and prints how many
 * nanoseconds it took. C, so that what is measured is the filesystem and not its user.
 *
 * Invariant: the clock runs from the moment when all threads are ready until the last one is done. With one
 * thread the operations go around all files; with as many threads as files each thread has its own.
 *
 * driver DIRECTORY stat|open|read|write FILES FILE_BYTES THREADS OPERATIONS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { blockBytes = 1 << 20 };

static const char *directory, *workload;
static long files, fileBytes, threads, operations;
static pthread_barrier_t ready;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int openFile(const char *path, int flags) {
  int fd = open(path, flags);
  if (fd < 0) fail(path);
  return fd;
}

/* The whole file in order; returns how many bytes there were. */
static long transfer(int fd, char *block, int isWrite) {
  long done = 0;
  while (!isWrite || done < fileBytes) {
    ssize_t count = isWrite ? write(fd, block, blockBytes < fileBytes - done ? blockBytes : fileBytes - done)
                            : read(fd, block, blockBytes);
    if (count < 0) fail(workload);
    if (count == 0) break;
    done += count;
  }
  return done;
}

static void operate(const char *path, char *block) {
  struct stat found;
  if (strcmp(workload, "stat") == 0) {
    if (stat(path, &found) != 0) fail(path);
    if (found.st_size != fileBytes) fail("wrong size");
    return;
  }
  int isWrite = strcmp(workload, "write") == 0;
  int fd = openFile(path, isWrite ? O_WRONLY : O_RDONLY);
  if (transfer(fd, block, isWrite) != fileBytes) fail("wrong length");
  if (close(fd) != 0) fail("close");
}

static void *work(void *argument) {
  long thread = (long)argument;
  char *block = malloc(blockBytes);
  char path[4096];
  memset(block, 'x', blockBytes);
  pthread_barrier_wait(&ready);
  for (long i = thread; i < operations; i += threads) {
    snprintf(path, sizeof path, "%s/%ld-%ld", directory, fileBytes, i % files);
    operate(path, block);
  }
  free(block);
  return NULL;
}

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(int count, char **arguments) {
  if (count != 7) return 2;
  directory = arguments[1];
  workload = arguments[2];
  files = atol(arguments[3]);
  fileBytes = atol(arguments[4]);
  threads = atol(arguments[5]);
  operations = atol(arguments[6]);
  pthread_t *all = calloc(threads, sizeof *all);
  pthread_barrier_init(&ready, NULL, threads + 1);
  for (long i = 0; i < threads; i++)
    if (pthread_create(&all[i], NULL, work, (void *)i) != 0) fail("pthread_create");
  pthread_barrier_wait(&ready);
  long long start = now();
  for (long i = 0; i < threads; i++) pthread_join(all[i], NULL);
  printf("%lld\n", now() - start);
  free(all);
}
