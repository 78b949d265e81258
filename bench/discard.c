// Downloads one path over N connections for S seconds and discards the bytes in the kernel
// (MSG_TRUNC), so that the server, and not this client, is what is measured.
// discard HOST PORT PATH CONNECTIONS SECONDS  →  bytes seconds
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int request(struct sockaddr_in *address, const char *head) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)address, sizeof *address) < 0) {
    perror("connect");
    exit(1);
  }
  if (write(fd, head, strlen(head)) < 0) exit(1);
  return fd;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  inet_pton(AF_INET, argv[1], &address.sin_addr);
  int connections = atoi(argv[4]);
  double limit = atof(argv[5]);
  char head[4096];
  snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n", argv[3], argv[1], argv[2]);
  struct pollfd *polls = calloc(connections, sizeof *polls);
  for (int i = 0; i < connections; i++) polls[i] = (struct pollfd){.fd = request(&address, head), .events = POLLIN};
  long long bytes = 0;
  double start = now();
  while (now() - start < limit) {
    if (poll(polls, connections, 100) < 0) return 1;
    for (int i = 0; i < connections; i++) {
      if (!polls[i].revents) continue;
      ssize_t length = recv(polls[i].fd, NULL, 4 << 20, MSG_TRUNC | MSG_DONTWAIT);
      if (length > 0) bytes += length;
      else if (length == 0) {
        close(polls[i].fd);
        polls[i].fd = request(&address, head);
      }
    }
  }
  printf("%lld %.3f\n", bytes, now() - start);
  return 0;
}
