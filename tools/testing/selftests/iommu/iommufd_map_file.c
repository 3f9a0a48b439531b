// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_IOAS_MAP_FILE with the mock driver, on memfds of small pages,
 * transparent huge pages and hugetlb pages. Teardown seals each memfd, which
 * fails if a pin or a mapping is left over.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <linux/userfaultfd.h>

#include "iommufd_utils.h"
#include "lib/cgroup.h"

#define READ	IOMMU_IOAS_MAP_READABLE
#define WRITE	IOMMU_IOAS_MAP_WRITEABLE
#define RW	(READ | WRITE)
#define FIXED	IOMMU_IOAS_MAP_FIXED_IOVA
#define IOVA	((__u64)MOCK_APERTURE_START)
#define NO_ID	0x7ffffff0U

/* Page size of the mock domain, for all kinds of memfd */
#define MOCK_PAGE_SIZE	(PAGE_SIZE / 2)

static_assert(_IO(';', 0x8f) == IOMMU_IOAS_MAP_FILE, "ABI");
static_assert(sizeof(struct iommu_ioas_map_file) == 40, "ABI");
static_assert(offsetof(struct iommu_ioas_map_file, fd) == 12, "ABI");
static_assert(offsetof(struct iommu_ioas_map_file, start) == 16, "ABI");
static_assert(offsetof(struct iommu_ioas_map_file, length) == 24, "ABI");
static_assert(offsetof(struct iommu_ioas_map_file, iova) == 32, "ABI");

/* teardown_iommufd() needs a buffer */
static __attribute__((constructor)) void setup_buffer(void)
{
	PAGE_SIZE = sysconf(_SC_PAGE_SIZE);
	BUFFER_SIZE = PAGE_SIZE;
	buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(buffer != MAP_FAILED);
}

static int memfd(unsigned int flags)
{
	return syscall(__NR_memfd_create, "map_file", flags);
}

/* Number after @name at the start of a line of the file; -1 if there is none */
static long number(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[200];
	long ret = -1;

	while (file && ret < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			ret = atol(line + strlen(name));
	if (file)
		fclose(file);
	return ret;
}

#define MEMINFO		"/proc/meminfo"
#define SYS_THP		"/sys/kernel/mm/transparent_hugepage/"

static int shmem_thp(const char *what)
{
	return file_put(SYS_THP "shmem_enabled", what);
}

/* Open the file behind @fd again, with another mode */
static int reopen(int fd, int mode)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, mode);
}

static int access_rw(int fd, __u32 access_id, __u64 iova, void *data,
		     size_t length, __u32 flags)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = access_id,
		.access_rw = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)data,
			.flags = flags,
		},
	};

	return ioctl(fd, IOMMU_TEST_CMD, &cmd);
}

static int access_pin(int fd, __u32 access_id, __u64 iova, void *mem,
		      size_t length, __u32 flags, __u32 *pages_id)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = access_id,
		.access_pages = {
			.flags = flags,
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)mem,
		},
	};
	int ret = ioctl(fd, IOMMU_TEST_CMD, &cmd);

	*pages_id = cmd.access_pages.out_access_pages_id;
	return ret;
}

static int check_map(int fd, __u32 hwpt_id, void *mem, __u64 iova,
		     size_t length)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.id = hwpt_id,
		.check_map = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)mem,
		},
	};

	return ioctl(fd, IOMMU_TEST_CMD, &cmd);
}

static int ioas_copy(int fd, __u32 src, __u64 src_iova, __u32 dst,
		     __u64 dst_iova, __u64 length, __u32 flags)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags | FIXED,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = dst_iova,
		.src_iova = src_iova,
	};

	return ioctl(fd, IOMMU_IOAS_COPY, &cmd);
}

/* A memfd of variant->pages pages, mapped at mem, and an empty IOAS */
FIXTURE(map_file)
{
	int fd;
	__u32 ioas_id;
	int memfd;
	size_t page;	/* of the memfd */
	size_t size;	/* of the memfd and of mem */
	__u8 *mem;
};

FIXTURE_VARIANT(map_file)
{
	bool thp;
	unsigned int flags;
	unsigned int pages;
};

FIXTURE_VARIANT_ADD(map_file, small)
{
	.pages = 16,
};

FIXTURE_VARIANT_ADD(map_file, thp)
{
	.thp = true,
	.pages = 2,
};

FIXTURE_VARIANT_ADD(map_file, hugetlb)
{
	.flags = MFD_HUGETLB,
	.pages = 2,
};

FIXTURE_SETUP(map_file)
{
	self->fd = -1;
	self->memfd = -1;
	self->page = PAGE_SIZE;
	if (variant->flags & MFD_HUGETLB)
		self->page = number(MEMINFO, "Hugepagesize:") * 1024;
	if (variant->thp) {
		self->page = number(SYS_THP "hpage_pmd_size", "");
		if (self->page > (4UL << 20) || shmem_thp("always"))
			SKIP(return, "no huge pages in shared memory");
	}
	self->size = self->page * variant->pages;

	self->memfd = memfd(MFD_ALLOW_SEALING | variant->flags);
	ASSERT_LE(0, self->memfd);
	ASSERT_EQ(0, ftruncate(self->memfd, self->size));
	self->mem = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 self->memfd, 0);
	if (self->mem == MAP_FAILED && (variant->flags & MFD_HUGETLB)) {
		close(self->memfd);
		self->memfd = -1;
		SKIP(return, "no huge pages are reserved");
	}
	ASSERT_NE(MAP_FAILED, self->mem);

	self->fd = open("/dev/iommu", O_RDWR);
	ASSERT_LE(0, self->fd);
	test_ioctl_ioas_alloc(&self->ioas_id);
	test_ioctl_set_default_memory_limit();
}

FIXTURE_TEARDOWN(map_file)
{
	int seals;

	if (variant->thp)
		shmem_thp("never");
	if (self->fd == -1)
		return;
	teardown_iommufd(self->fd, _metadata);
	EXPECT_EQ(0, munmap(self->mem, self->size));
	/* The seal proves that no pin and no writable mapping is left */
	EXPECT_EQ(0, fcntl(self->memfd, F_ADD_SEALS, F_SEAL_WRITE));
	seals = fcntl(self->memfd, F_GET_SEALS);
	EXPECT_EQ(F_SEAL_WRITE, seals & F_SEAL_WRITE);
	EXPECT_EQ(0, close(self->memfd));
}

#define map(start, length, iova, flags)                                      \
	({                                                                   \
		__u64 _iova = iova;                                          \
		_test_ioctl_ioas_map_file(self->fd, self->ioas_id,           \
					  self->memfd, start, length, &_iova, \
					  flags);                            \
	})
#define test_map(start, length, iova)                                        \
	ASSERT_EQ(0, map(start, length, iova, RW | FIXED))
#define test_err_map(_errno, start, length, iova, flags)                     \
	EXPECT_ERRNO(_errno, map(start, length, iova, flags))
#define test_check(hwpt_id, start, length, iova)                             \
	ASSERT_EQ(0, check_map(self->fd, hwpt_id, self->mem + (start), iova, \
			       length))
#define test_rw(access_id, iova, data, length, flags)                        \
	ASSERT_EQ(0, access_rw(self->fd, access_id, iova, data, length, flags))
#define seal(seals) fcntl(self->memfd, F_ADD_SEALS, seals)

/* Only pins of small pages can be counted */
#define test_refs(start, length, refs)                                       \
	({                                                                   \
		if (self->page == PAGE_SIZE)                                 \
			check_refs(self->mem + (start), length, refs);       \
	})

static void fill(void *mem, size_t size)
{
	__u32 *words = mem;
	size_t i;

	for (i = 0; i != size / sizeof(*words); i++)
		words[i] = rand();
}

/* Without a domain: bad arguments are refused before any page is looked up */
TEST_F(map_file, refused)
{
	static const char * const others[] = {
		"/dev/null", "/dev/zero", "/dev/iommu", "/dev/shm",
		"/proc/self/maps", "/proc/self/ns/mnt",
	};
	const struct iommu_ioas_map_file good = {
		.size = sizeof(good),
		.flags = RW,
		.ioas_id = self->ioas_id,
		.fd = self->memfd,
		.length = self->size,
	};
	struct iommu_ioas_map_file cmd;
	struct {
		struct iommu_ioas_map_file cmd;
		__u64 future;
	} ext = {};
	int fds[2], fd;
	unsigned int i;

#define test_err_cmd(_errno, ...)                                            \
	({                                                                   \
		cmd = good;                                                  \
		__VA_ARGS__;                                                 \
		EXPECT_ERRNO(_errno, ioctl(self->fd, IOMMU_IOAS_MAP_FILE,    \
					   &cmd));                           \
	})

	test_err_cmd(EINVAL, cmd.size--);
	ext.cmd = good;
	ext.cmd.size = sizeof(ext);
	ext.future = 1;
	EXPECT_ERRNO(E2BIG, ioctl(self->fd, IOMMU_IOAS_MAP_FILE, &ext));
	test_err_cmd(EOPNOTSUPP, cmd.flags |= 8);
	test_err_cmd(EOPNOTSUPP, cmd.flags |= 1U << 31, cmd.iova = ULONG_MAX);
	test_err_cmd(EOVERFLOW, cmd.iova = ULONG_MAX, cmd.flags = 0);
	test_err_cmd(EOVERFLOW, cmd.length = ULONG_MAX);
	test_err_cmd(EINVAL, cmd.flags = 0, cmd.ioas_id = NO_ID);
	test_err_cmd(EINVAL, cmd.flags = FIXED);
	test_err_cmd(ENOENT, cmd.ioas_id = NO_ID, cmd.length = 0);
	test_err_cmd(EINVAL, cmd.length = 0, cmd.fd = -1);
	test_err_cmd(EINVAL, cmd.length = ULONG_MAX - 1, cmd.fd = -1);
	test_err_cmd(EOVERFLOW, cmd.start = -(__u64)PAGE_SIZE,
		     cmd.length = 2 * PAGE_SIZE, cmd.fd = -1);
	test_err_cmd(EOVERFLOW, cmd.start = ULONG_MAX, cmd.length = 1);
	test_err_cmd(EBADF, cmd.fd = -1);
	fd = dup(self->memfd);
	ASSERT_EQ(0, close(fd));
	test_err_cmd(EBADF, cmd.fd = fd);
	fd = reopen(self->memfd, O_PATH);
	ASSERT_LE(0, fd);
	test_err_cmd(EBADF, cmd.fd = fd);
	ASSERT_EQ(0, close(fd));

	for (i = 0; i != ARRAY_SIZE(others); i++) {
		fd = open(others[i], O_RDONLY);
		ASSERT_LE(0, fd);
		test_err_cmd(EINVAL, cmd.fd = fd, cmd.flags = READ);
		ASSERT_EQ(0, close(fd));
	}
	test_err_cmd(EINVAL, cmd.fd = self->fd);
	ASSERT_EQ(0, pipe(fds));
	test_err_cmd(EINVAL, cmd.fd = fds[0]);
	close(fds[0]);
	close(fds[1]);

	fd = reopen(self->memfd, O_RDONLY);
	ASSERT_LE(0, fd);
	test_err_cmd(EACCES, cmd.fd = fd);
	test_err_cmd(EACCES, cmd.fd = fd, cmd.flags = WRITE);
	ASSERT_EQ(0, close(fd));
	fd = reopen(self->memfd, O_WRONLY);
	ASSERT_LE(0, fd);
	test_err_cmd(EACCES, cmd.fd = fd, cmd.flags = WRITE);
	test_err_cmd(EACCES, cmd.fd = fd, cmd.flags = READ);
	ASSERT_EQ(0, close(fd));

	test_map(0, self->page, IOVA);
	test_err_map(EEXIST, self->page, self->page, IOVA, RW | FIXED);
	test_err_map(EOVERFLOW, 0, self->size, -(__u64)PAGE_SIZE, RW | FIXED);
}

/* Refusals that depend on the domains, or that only pinning finds */
TEST_F(map_file, refused_by_domain)
{
	struct iommu_test_cmd reserve = {
		.size = sizeof(reserve),
		.op = IOMMU_TEST_OP_ADD_RESERVED,
		.id = self->ioas_id,
		.add_reserved = { .start = IOVA, .length = PAGE_SIZE },
	};
	__u32 stdev_id;

	/* Without a domain the end of the file is not checked */
	test_map(self->page, self->size, IOVA);
	test_err_mock_domain(EINVAL, self->ioas_id, &stdev_id, NULL);
	test_ioctl_ioas_unmap(IOVA, self->size);
	test_map((__u64)LLONG_MAX + 1, PAGE_SIZE, IOVA);
	test_err_mock_domain(EINVAL, self->ioas_id, &stdev_id, NULL);
	test_ioctl_ioas_unmap(IOVA, PAGE_SIZE);

	test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, NULL);
	test_err_map(EINVAL, 0, self->size, IOVA + 1, RW | FIXED);
	test_err_map(EINVAL, 1, self->page, IOVA, RW | FIXED);
	test_err_map(EINVAL, 0, self->page + 1, IOVA, RW | FIXED);
	test_err_map(EINVAL, 0, PAGE_SIZE, IOVA - PAGE_SIZE, RW | FIXED);
	test_err_map(EINVAL, 0, PAGE_SIZE, MOCK_APERTURE_LAST + 1UL,
		     RW | FIXED);
	test_err_map(ENOSPC, 0, MOCK_APERTURE_LAST + 1UL, 0, RW);

	test_err_map(EINVAL, 0, self->size + PAGE_SIZE, IOVA, RW | FIXED);
	test_err_map(EINVAL, self->size, PAGE_SIZE, IOVA, RW | FIXED);
	test_err_map(EINVAL, self->size - self->page, self->page + PAGE_SIZE,
		     IOVA, RW | FIXED);
	test_err_map(EINVAL, LLONG_MAX - PAGE_SIZE + 1, PAGE_SIZE, IOVA,
		     RW | FIXED);
	test_err_map(EINVAL, (__u64)LLONG_MAX + 1, PAGE_SIZE, IOVA, RW | FIXED);
	ASSERT_EQ(0, ioctl(self->fd, IOMMU_TEST_CMD, &reserve));
	test_err_map(EINVAL, 0, self->size, IOVA, RW | FIXED);
	test_map(0, self->size, IOVA + PAGE_SIZE);
}

TEST_F(map_file, map)
{
	__u32 stdev_id, hwpt_id;
	__u64 iova, end;

	/* Map with and without a domain. The file starts as a hole. */
	test_map(0, self->size, IOVA);
	test_cmd_mock_domain(self->ioas_id, &stdev_id, &hwpt_id, NULL);
	test_check(hwpt_id, 0, self->size, IOVA);
	test_refs(0, self->size, 1);
	fill(self->mem, self->size);
	test_check(hwpt_id, 0, self->size, IOVA);

	/* A second mapping of the same memory has separate pins */
	end = IOVA + self->size;
	test_map(self->page, self->page, end);
	test_check(hwpt_id, self->page, self->page, end);
	test_refs(self->page, self->page, 2);
	test_err_ioctl_ioas_unmap(ENOENT, IOVA, self->size - PAGE_SIZE);
	test_err_ioctl_ioas_unmap(ENOENT, end + PAGE_SIZE, PAGE_SIZE);
	test_check(hwpt_id, 0, self->size, IOVA);
	test_ioctl_ioas_unmap(IOVA, self->size);
	test_check(hwpt_id, self->page, self->page, end);
	test_refs(self->page, self->page, 1);
	test_refs(0, self->page, 0);
	EXPECT_EQ(-1, check_map(self->fd, hwpt_id, self->mem, IOVA, PAGE_SIZE));
	test_ioctl_ioas_unmap(end - PAGE_SIZE, self->size);
	test_refs(0, self->size, 0);

	/* The kernel chooses an IOVA that is aligned like the offset */
	test_ioctl_ioas_map_file(self->memfd, self->page, self->page, &iova);
	EXPECT_EQ(0, iova % self->page);
	test_check(hwpt_id, self->page, self->page, iova);
	test_ioctl_ioas_map_file(self->memfd, MOCK_PAGE_SIZE, PAGE_SIZE, &iova);
	EXPECT_EQ(MOCK_PAGE_SIZE, iova % PAGE_SIZE);
	test_check(hwpt_id, MOCK_PAGE_SIZE, PAGE_SIZE, iova);

	/* Destroying the HWPT unpins; the next HWPT pins again */
	test_ioctl_destroy(stdev_id);
	test_refs(0, self->size, 0);
	test_cmd_mock_domain(self->ioas_id, &stdev_id, &hwpt_id, NULL);
	test_check(hwpt_id, MOCK_PAGE_SIZE, PAGE_SIZE, iova);
}

TEST_F(map_file, all_aligns)
{
	size_t step = self->page == PAGE_SIZE ? MOCK_PAGE_SIZE : self->page / 4;
	size_t size = self->page == PAGE_SIZE ? self->page * 4 : self->size;
	__u32 hwpt_ids[2];
	size_t from, to;

	test_cmd_mock_domain(self->ioas_id, NULL, &hwpt_ids[0], NULL);
	test_cmd_mock_domain(self->ioas_id, NULL, &hwpt_ids[1], NULL);
	/* A low limit makes the kernel pin a range in pieces */
	if (self->page == PAGE_SIZE)
		ASSERT_EQ(0, _test_ioctl_set_temp_memory_limit(self->fd, 32));
	for (from = 0; from < size; from += step) {
		for (to = from + step; to <= size; to += step) {
			size_t start = from + (from ? MOCK_PAGE_SIZE : 0);
			size_t length = to - start;

			if (start >= to)
				continue;
			test_map(start, length, IOVA);
			test_check(hwpt_ids[0], start, length, IOVA);
			test_check(hwpt_ids[1], start, length, IOVA);
			test_ioctl_ioas_unmap(IOVA, length);
		}
	}
	test_ioctl_set_default_memory_limit();
	test_refs(0, self->size, 0);
}

/* The last page of a file can be partial */
TEST_F(map_file, odd_size)
{
	__u64 size = PAGE_SIZE + MOCK_PAGE_SIZE;
	__u32 hwpt_id;

	if (variant->flags & MFD_HUGETLB)
		SKIP(return, "a file of huge pages has whole ones");
	test_cmd_mock_domain(self->ioas_id, NULL, &hwpt_id, NULL);
	ASSERT_EQ(0, ftruncate(self->memfd, size));
	test_err_map(EINVAL, 0, size + MOCK_PAGE_SIZE, IOVA, RW | FIXED);
	test_err_map(EINVAL, size, MOCK_PAGE_SIZE, IOVA, RW | FIXED);
	test_map(0, size, IOVA);
	test_check(hwpt_id, 0, size, IOVA);
	ASSERT_EQ(0, ftruncate(self->memfd, self->size));
}

TEST_F(map_file, two_domains)
{
	__u32 stdev_ids[2], hwpt_ids[2];

	test_cmd_mock_domain(self->ioas_id, &stdev_ids[0], &hwpt_ids[0], NULL);
	test_map(0, self->size, IOVA);
	test_cmd_mock_domain(self->ioas_id, &stdev_ids[1], &hwpt_ids[1], NULL);
	test_check(hwpt_ids[0], 0, self->size, IOVA);
	test_check(hwpt_ids[1], 0, self->size, IOVA);
	/* Both domains share one pin */
	test_refs(0, self->size, 1);
	test_ioctl_destroy(stdev_ids[0]);
	test_refs(0, self->size, 1);
	test_check(hwpt_ids[1], 0, self->size, IOVA);
	test_ioctl_destroy(stdev_ids[1]);
	test_refs(0, self->size, 0);
}

static void check_rw(struct __test_metadata *_metadata,
		     struct _test_data_map_file *self, __u32 access_id,
		     __u64 iova, __u32 flags)
{
	__u8 *data = malloc(self->size);
	size_t edge = self->page - 20;

	ASSERT_NE(NULL, data);
	fill(self->mem, self->size);
	test_rw(access_id, iova, data, self->size, flags);
	EXPECT_EQ(0, memcmp(data, self->mem, self->size));
	/* Within a page, and from one to the next */
	fill(data, 64);
	test_rw(access_id, iova + 3, data, 29, flags | MOCK_ACCESS_RW_WRITE);
	EXPECT_EQ(0, memcmp(data, self->mem + 3, 29));
	test_rw(access_id, iova + edge, data, 40, flags | MOCK_ACCESS_RW_WRITE);
	EXPECT_EQ(0, memcmp(data, self->mem + edge, 40));
	fill(self->mem + edge, 40);
	test_rw(access_id, iova + edge, data, 40, flags);
	EXPECT_EQ(0, memcmp(data, self->mem + edge, 40));
	free(data);
}

TEST_F(map_file, access_rw)
{
	__u32 access_id, stdev_id, hwpt_id;
	char data[4] = "abc";

	test_cmd_create_access(self->ioas_id, &access_id, 0);
	test_map(0, self->size, IOVA);
	/* A write fills a hole */
	test_rw(access_id, IOVA + self->page, data, 4, MOCK_ACCESS_RW_WRITE);
	EXPECT_EQ(0, memcmp(self->mem + self->page, data, 4));
	test_rw(access_id, IOVA, data, 4, 0);
	EXPECT_EQ(0, data[0] | data[1] | data[2] | data[3]);

	check_rw(_metadata, self, access_id, IOVA, 0);
	check_rw(_metadata, self, access_id, IOVA, MOCK_ACCESS_RW_SLOW_PATH);
	test_refs(0, self->size, 0);
	test_cmd_mock_domain(self->ioas_id, &stdev_id, &hwpt_id, NULL);
	check_rw(_metadata, self, access_id, IOVA, 0);
	test_ioctl_ioas_unmap(IOVA, self->size);

	/* Memory that DMA may not write */
	ASSERT_EQ(0, map(0, self->size, IOVA, READ | FIXED));
	EXPECT_ERRNO(EPERM, access_rw(self->fd, access_id, IOVA, data, 4,
				      MOCK_ACCESS_RW_WRITE));
	test_rw(access_id, IOVA, data, 4, 0);
	test_cmd_destroy_access(access_id);
}

TEST_F(map_file, access_pin)
{
	__u32 access_id, pages_ids[3], stdev_id, hwpt_id;
	size_t half = self->size / 2;

	test_cmd_create_access(self->ioas_id, &access_id,
			       MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	test_map(0, self->size, IOVA);

	/* Reuse pins of the domain and of an access, and add new ones */
	ASSERT_EQ(0, access_pin(self->fd, access_id, IOVA + half - PAGE_SIZE,
				self->mem + half - PAGE_SIZE, PAGE_SIZE * 2,
				MOCK_FLAGS_ACCESS_WRITE, &pages_ids[0]));
	test_refs(half - PAGE_SIZE, PAGE_SIZE * 2, 1);
	test_refs(0, half - PAGE_SIZE, 0);
	ASSERT_EQ(0, access_pin(self->fd, access_id, IOVA, self->mem,
				self->size, 0, &pages_ids[1]));
	test_refs(0, self->size, 1);
	test_cmd_destroy_access_pages(access_id, pages_ids[0]);
	test_refs(0, self->size, 1);
	test_cmd_mock_domain(self->ioas_id, &stdev_id, &hwpt_id, NULL);
	test_check(hwpt_id, 0, self->size, IOVA);
	test_cmd_destroy_access_pages(access_id, pages_ids[1]);
	test_refs(0, self->size, 1);
	ASSERT_EQ(0, access_pin(self->fd, access_id, IOVA + PAGE_SIZE,
				self->mem + PAGE_SIZE, PAGE_SIZE, 0,
				&pages_ids[2]));
	test_ioctl_destroy(stdev_id);
	test_refs(PAGE_SIZE, PAGE_SIZE, 1);
	test_refs(0, PAGE_SIZE, 0);
	test_refs(PAGE_SIZE * 2, self->size - PAGE_SIZE * 2, 0);
	ASSERT_EQ(0, munmap(self->mem, self->size));
	EXPECT_ERRNO(EBUSY, seal(F_SEAL_WRITE));
	self->mem = mmap(self->mem, self->size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, self->memfd, 0);
	ASSERT_NE(MAP_FAILED, self->mem);

	/* Pin the rest, on both sides of the page that the access has pinned */
	test_cmd_mock_domain(self->ioas_id, &stdev_id, &hwpt_id, NULL);
	test_check(hwpt_id, 0, self->size, IOVA);
	test_refs(0, self->size, 1);
	/* Unmapping makes the access drop its pins */
	test_ioctl_ioas_unmap(IOVA, self->size);
	test_err_destroy_access_pages(ENOENT, access_id, pages_ids[2]);
	test_refs(0, self->size, 0);
	test_cmd_destroy_access(access_id);
}

TEST_F(map_file, copy)
{
	__u32 ioas_id, stdev_ids[2], hwpt_ids[2];
	size_t rest = self->size - PAGE_SIZE;

	test_ioctl_ioas_alloc(&ioas_id);
	test_cmd_mock_domain(self->ioas_id, &stdev_ids[0], &hwpt_ids[0], NULL);
	test_cmd_mock_domain(ioas_id, &stdev_ids[1], &hwpt_ids[1], NULL);
	test_map(0, self->size, IOVA);
	/* Two copies that share the pins: all pages, and all but the first */
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas_id, IOVA, ioas_id, IOVA,
			       self->size, RW));
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas_id, IOVA + PAGE_SIZE,
			       self->ioas_id, IOVA + self->size, rest, READ));
	test_refs(0, self->size, 1);
	test_check(hwpt_ids[1], 0, self->size, IOVA);
	test_check(hwpt_ids[0], PAGE_SIZE, rest, IOVA + self->size);

	/* The last user of a page unpins it; one mapping lacks page 0 */
	test_ioctl_ioas_unmap(IOVA, self->size);
	test_refs(0, self->size, 1);
	test_ioctl_ioas_unmap_id(ioas_id, IOVA, self->size);
	test_refs(0, PAGE_SIZE, 0);
	test_refs(PAGE_SIZE, rest, 1);
	test_check(hwpt_ids[0], PAGE_SIZE, rest, IOVA + self->size);
	test_ioctl_ioas_unmap(IOVA + self->size, rest);
	test_refs(0, self->size, 0);

	/* A copy gains no access rights */
	ASSERT_EQ(0, map(0, self->size, IOVA, READ | FIXED));
	EXPECT_ERRNO(EPERM, ioas_copy(self->fd, self->ioas_id, IOVA, ioas_id,
				      IOVA, self->size, RW));
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas_id, IOVA, ioas_id, IOVA,
			       self->size, READ));
}

/* Only the mapping holds the file open */
TEST_F(map_file, close_first)
{
	__u32 access_id, hwpt_id;
	__u32 word, data = 0;
	int other;

	other = memfd(variant->flags);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, ftruncate(other, self->page));
	word = rand() | 1;
	if (variant->flags & MFD_HUGETLB) {
		/* hugetlbfs has no write() */
		__u32 *mem = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
				  MAP_SHARED, other, 0);

		if (mem == MAP_FAILED)
			SKIP(return, "no third huge page");
		*mem = word;
		ASSERT_EQ(0, munmap(mem, self->page));
	} else {
		ASSERT_EQ(4, pwrite(other, &word, 4, 0));
	}
	{
		__u64 iova = IOVA;

		ASSERT_EQ(0, _test_ioctl_ioas_map_file(self->fd, self->ioas_id,
						       other, 0, self->page,
						       &iova, RW | FIXED));
	}
	ASSERT_EQ(0, close(other));
	test_cmd_create_access(self->ioas_id, &access_id, 0);
	test_rw(access_id, IOVA, &data, 4, 0);
	EXPECT_EQ(word, data);
	test_cmd_mock_domain(self->ioas_id, NULL, &hwpt_id, NULL);
	data = 0;
	test_rw(access_id, IOVA, &data, 4, 0);
	EXPECT_EQ(word, data);
	test_cmd_destroy_access(access_id);
}

TEST_F(map_file, seals)
{
	void *mem = self->mem;
	__u32 stdev_id;

	ASSERT_EQ(0, munmap(mem, self->size));
	/* Nothing is pinned, but any attach may pin */
	test_map(0, self->size, IOVA);
	EXPECT_ERRNO(EBUSY, seal(F_SEAL_WRITE));
	test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, NULL);
	EXPECT_ERRNO(EBUSY, seal(F_SEAL_WRITE));
	test_ioctl_ioas_unmap(IOVA, self->size);

	/* The kernel can't distinguish read-only pins from writable ones */
	ASSERT_EQ(0, map(0, self->size, IOVA, READ | FIXED));
	EXPECT_ERRNO(EBUSY, seal(F_SEAL_WRITE));
	test_ioctl_destroy(stdev_id);

	/* F_SEAL_FUTURE_WRITE affects new mappings, not existing ones */
	test_map(0, self->size, IOVA + self->size);
	ASSERT_EQ(0, seal(F_SEAL_FUTURE_WRITE));
	test_err_map(EPERM, 0, self->size, 0, RW);
	test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, NULL);
	test_ioctl_ioas_unmap(IOVA + self->size, self->size);
	test_ioctl_destroy(stdev_id);

	/* Read-only mappings allow F_SEAL_WRITE, and work under it */
	ASSERT_EQ(0, seal(F_SEAL_WRITE));
	test_err_map(EPERM, 0, self->size, 0, RW);
	test_err_map(EPERM, 0, self->size, 0, WRITE);
	ASSERT_EQ(0, map(0, self->size, IOVA + self->size, READ | FIXED));
	test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, NULL);
	self->mem = mmap(mem, self->size, PROT_READ, MAP_SHARED, self->memfd,
			 0);
	ASSERT_NE(MAP_FAILED, self->mem);
}

TEST_F(map_file, seal_only)
{
	void *mem = self->mem;

	/* F_SEAL_WRITE alone also refuses writable mappings */
	ASSERT_EQ(0, munmap(mem, self->size));
	ASSERT_EQ(0, seal(F_SEAL_WRITE));
	test_err_map(EPERM, 0, self->size, 0, RW);
	ASSERT_EQ(0, map(0, self->size, IOVA, READ | FIXED));
	self->mem = mmap(mem, self->size, PROT_READ, MAP_SHARED, self->memfd,
			 0);
	ASSERT_NE(MAP_FAILED, self->mem);
}

/* Pages removed from the file stay in the mapping */
TEST_F(map_file, truncated)
{
	__u32 access_id, stdev_id, hwpt_id;
	__u32 word = rand() | 1, data = 0;

	test_cmd_create_access(self->ioas_id, &access_id, 0);
	test_cmd_mock_domain(self->ioas_id, &stdev_id, &hwpt_id, NULL);
	test_map(0, self->size, IOVA);
	memcpy(self->mem, &word, 4);
	memcpy(self->mem + self->page, &word, 4);

	ASSERT_EQ(0, fallocate(self->memfd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			       self->page));
	EXPECT_EQ(0, self->mem[0] | self->mem[1] | self->mem[2] | self->mem[3]);
	test_rw(access_id, IOVA, &data, 4, 0);
	EXPECT_EQ(word, data);
	EXPECT_EQ(-1, check_map(self->fd, hwpt_id, self->mem, IOVA, PAGE_SIZE));

	ASSERT_EQ(0, ftruncate(self->memfd, 0));
	data = 0;
	test_rw(access_id, IOVA + self->page, &data, 4, 0);
	EXPECT_EQ(word, data);
	/* They can't be pinned again */
	test_ioctl_destroy(stdev_id);
	EXPECT_ERRNO(EINVAL, access_rw(self->fd, access_id, IOVA, &data, 4, 0));
	test_err_mock_domain(EINVAL, self->ioas_id, &stdev_id, NULL);

	ASSERT_EQ(0, ftruncate(self->memfd, self->size));
	test_cmd_mock_domain(self->ioas_id, &stdev_id, &hwpt_id, NULL);
	test_check(hwpt_id, 0, self->size, IOVA);
	test_cmd_destroy_access(access_id);
}

/* fallocate() adds pages to the file without zeroing them */
TEST_F(map_file, fallocated)
{
	__u32 access_id, stdev_id, hwpt_id;
	__u32 word = rand() | 1;
	size_t i;

	ASSERT_EQ(0, fallocate(self->memfd, 0, 0, self->size));
	test_cmd_create_access(self->ioas_id, &access_id, 0);
	test_map(0, self->size, IOVA);
	test_cmd_mock_domain(self->ioas_id, &stdev_id, &hwpt_id, NULL);
	/* Unless pinning zeroed the page, the fault in memcmp() does */
	test_rw(access_id, IOVA, &word, 4, MOCK_ACCESS_RW_WRITE);
	EXPECT_EQ(0, memcmp(self->mem, &word, 4));
	for (i = 4; i != self->size; i++)
		ASSERT_EQ(0, self->mem[i]);
	test_check(hwpt_id, 0, self->size, IOVA);
	test_cmd_destroy_access(access_id);
}

/* Another process punches and refills holes in the file during pinning */
TEST_F(map_file, race)
{
	time_t end = time(NULL) + 4;
	int i, status;
	__u32 stdev_id;
	pid_t pid;

	test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, NULL);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (;;) {
			size_t page = rand() % variant->pages * self->page;

			fallocate(self->memfd,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  page, self->page);
			/* Part of a huge page; this may split it */
			fallocate(self->memfd,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  rand() % (self->size / PAGE_SIZE) * PAGE_SIZE,
				  PAGE_SIZE);
			self->mem[rand() % self->size] = 1;
			if (getppid() == 1)
				_exit(0);
		}
	}
	for (i = 0; !i || (i < 200 && time(NULL) < end); i++) {
		test_map(0, self->size, IOVA);
		test_ioctl_ioas_unmap(IOVA, self->size);
	}
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	/* SIGKILL ended the process, not SIGBUS */
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	test_refs(0, self->size, 0);
}

/* Another process truncates and extends the file during pinning */
TEST_F(map_file, truncate_race)
{
	const bool hugetlb = variant->flags & MFD_HUGETLB;
	long rsvd = number(MEMINFO, "HugePages_Rsvd:");
	long free = number(MEMINFO, "HugePages_Free:");
	time_t end = time(NULL) + 4;
	unsigned int seen = 0, now, wait = 0;
	unsigned int *done;
	unsigned int failed = 0;
	struct stat stat;
	__u32 stdev_id;
	pid_t pid;

	test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, NULL);
	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, done);
	pid = fork();
	ASSERT_LE(0, pid);
	while (!pid) {
		if (ftruncate(self->memfd, 0) ||
		    ftruncate(self->memfd, self->size) || getppid() == 1)
			_exit(1);
		/* Leave the file at full size longer, until a map succeeds */
		now = __atomic_load_n(done, __ATOMIC_RELAXED);
		wait = seen == now ? wait + 10 : 0;
		seen = now;
		usleep(wait);
	}
	while (!*done || !failed || time(NULL) < end) {
		if (!map(0, self->size, IOVA, RW | FIXED)) {
			test_ioctl_ioas_unmap(IOVA, self->size);
			__atomic_add_fetch(done, 1, __ATOMIC_RELAXED);
		} else {
			ASSERT_EQ(EINVAL, errno);
			failed++;
		}
	}
	munmap(done, sizeof(*done));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));

	/* No page is left beyond the end, and none is accounted */
	ASSERT_EQ(0, ftruncate(self->memfd, 0));
	ASSERT_EQ(0, fstat(self->memfd, &stat));
	EXPECT_EQ(0, stat.st_blocks);
	if (hugetlb) {
		/* The mapping at mem had reserved all of them */
		EXPECT_EQ(rsvd - variant->pages,
			  number(MEMINFO, "HugePages_Rsvd:"));
		EXPECT_EQ(free, number(MEMINFO, "HugePages_Free:"));
	}
}

/* The first access to the page blocks until UFFDIO_ZEROPAGE */
static int open_userfaultfd(void *page)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = PAGE_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd == -1)
		return -1;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return -1;
	}
	return fd;
}

struct writer {
	int fd;
	void *page;
	ssize_t ret;
};

static void *write_byte(void *arg)
{
	struct writer *writer = arg;

	writer->ret = pwrite(writer->fd, writer->page, 1, 0);
	return NULL;
}

/* Another process can hold the inode lock for any time */
TEST_F(map_file, inode_locked)
{
	struct uffdio_zeropage zero = { .range.len = PAGE_SIZE };
	struct writer writer = { .fd = self->memfd };
	int status = -1, uffd, i;
	pid_t pid, exited = 0;
	struct uffd_msg msg;
	pthread_t thread;
	__u32 stdev_id;

	if (variant->flags & MFD_HUGETLB)
		SKIP(return, "hugetlbfs has no write()");
	writer.page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, writer.page);
	zero.range.start = (uintptr_t)writer.page;
	uffd = open_userfaultfd(writer.page);
	if (uffd == -1)
		SKIP(return, "no userfaultfd");

	/* write() holds the inode lock while it reads the page */
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_byte, &writer));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));

	/* The attach and the second mapping pin pages */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(map(0, self->size, IOVA, RW | FIXED) ||
		      _test_cmd_mock_domain(self->fd, self->ioas_id, &stdev_id,
					    NULL, NULL) ||
		      map(0, self->page, IOVA + self->size, RW | FIXED));
	for (i = 0; i != 1000 && !exited; i++) {
		usleep(10000);
		exited = waitpid(pid, &status, WNOHANG);
	}
	EXPECT_EQ(pid, exited);
	EXPECT_EQ(0, status);

	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(1, writer.ret);
	if (!exited)
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, close(uffd));
	ASSERT_EQ(0, munmap(writer.page, PAGE_SIZE));
}

TEST_F(map_file, dirty_tracking)
{
	size_t nbits = self->size / MOCK_PAGE_SIZE;
	__u32 stdev_id, idev_id, hwpt_id;
	__u64 bitmap[DIV_ROUND_UP(nbits, 64)];

	test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, &idev_id);
	test_cmd_hwpt_alloc(idev_id, self->ioas_id,
			    IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt_id);
	test_map(0, self->size, IOVA);
	test_cmd_set_dirty_tracking(hwpt_id, true);
	test_mock_dirty_bitmaps(hwpt_id, self->size, IOVA, MOCK_PAGE_SIZE,
				MOCK_PAGE_SIZE, bitmap, nbits, 0, _metadata);
	test_ioctl_destroy(hwpt_id);
}

/* Without CAP_IPC_LOCK, pinned memory is charged like any other memory */
static int limit_locked(size_t size)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct rlimit limit = { .rlim_cur = size, .rlim_max = RLIM_INFINITY };
	struct __user_cap_data_struct caps[2];

	if (setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    syscall(__NR_capget, &header, caps))
		return -1;
	caps[0].effective &= ~(1U << CAP_IPC_LOCK);
	return syscall(__NR_capset, &header, caps);
}

TEST_F(map_file, rlimit)
{
	__u32 stdev_id;
	int i;

	ASSERT_EQ(0, limit_locked(self->page));
	test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, NULL);
	for (i = 0; i != 3; i++) {
		test_map(0, self->page, IOVA);
		test_err_map(ENOMEM, self->page, PAGE_SIZE, 0, RW);
		test_ioctl_ioas_unmap(IOVA, self->page);
		test_err_map(ENOMEM, 0, self->page + PAGE_SIZE, 0, RW);
	}
	test_refs(0, self->size, 0);
}

/* Charge the process; this must be set before any object exists */
static int charge_mm(int *fd)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = 1,
	};

	close(*fd);
	*fd = open("/dev/iommu", O_RDWR);
	return ioctl(*fd, IOMMU_OPTION, &option);
}

/* The process that mapped is charged, even if another one causes the pinning */
TEST_F(map_file, other_process)
{
	const char *status = "/proc/self/status";
	long locked, pinned;
	__u32 stdev_id;
	int exited;
	pid_t pid;

	ASSERT_EQ(0, charge_mm(&self->fd));
	test_ioctl_ioas_alloc(&self->ioas_id);

	ASSERT_EQ(0, limit_locked(self->size));
	test_map(0, self->size, IOVA);
	locked = number(status, "VmLck:");
	pinned = number(status, "VmPin:");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(_test_cmd_mock_domain(self->fd, self->ioas_id, &stdev_id,
					    NULL, NULL) ? 1 : 0);
	ASSERT_EQ(pid, waitpid(pid, &exited, 0));
	ASSERT_EQ(0, exited);
	EXPECT_EQ(locked + self->size / 1024, number(status, "VmLck:"));
	EXPECT_EQ(pinned + self->size / 1024, number(status, "VmPin:"));
	test_ioctl_ioas_unmap(IOVA, self->size);
	EXPECT_EQ(locked, number(status, "VmLck:"));
	EXPECT_EQ(pinned, number(status, "VmPin:"));
}

/* The mapping outlives its process, which may or may not be charged */
TEST_F(map_file, mapper_exits)
{
	__u32 stdev_id, stdev2_id;
	int round, exited;
	pid_t pid;

	ASSERT_EQ(0, charge_mm(&self->fd));
	test_ioctl_ioas_alloc(&self->ioas_id);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(map(0, self->size, IOVA, RW | FIXED) ? 1 : 0);
	ASSERT_EQ(pid, waitpid(pid, &exited, 0));
	ASSERT_EQ(0, exited);

	for (round = 0; round < 2; round++) {
		test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL, NULL);
		test_ioctl_destroy(stdev_id);
	}
	test_cmd_mock_domain(self->ioas_id, &stdev2_id, NULL, NULL);
	test_ioctl_ioas_unmap(IOVA, self->size);
}

/* Use the disk as swap space; -1 if it is missing or busy */
static int swap_to(const char *disk)
{
	__u32 version_last_bad[3] = { 1 };
	int fd = open(disk, O_RDWR | O_EXCL);
	off_t size;
	char *page;
	int ret;

	if (fd == -1)
		return -1;
	size = lseek(fd, 0, SEEK_END);
	version_last_bad[1] = size / PAGE_SIZE - 1;
	page = calloc(1, PAGE_SIZE);
	memcpy(page + 1024, version_last_bad, sizeof(version_last_bad));
	memcpy(page + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	ret = pwrite(fd, page, PAGE_SIZE, 0) == PAGE_SIZE && !fsync(fd) ? 0 : -1;
	free(page);
	close(fd);
	return ret ? ret : swapon(disk, 0);
}

/* Reclaim swaps out pages during pinning, some of them before zeroing */
TEST(reclaimed)
{
	const unsigned int npages = 64;
	const size_t size = npages * PAGE_SIZE;
	const char *disk = "/dev/ram0";
	struct {
		int fd;
		__u32 ioas_id;
	} _self, *self = &_self;
	time_t end = time(NULL) + 8;
	__u32 hwpt_id, round = 0;
	unsigned int i;
	__u64 iova;
	bool swapped = false;
	long swap_free;
	pid_t pid;
	char *mem;
	int mfd;

	if (cgroup_enter())
		SKIP(return, "no memory cgroup");
	if (swap_to(disk))
		SKIP(return, "no RAM disk to swap to");
	swap_free = number(MEMINFO, "SwapFree:");

	mfd = memfd(0);
	ASSERT_LE(0, mfd);
	ASSERT_EQ(0, ftruncate(mfd, size));
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, mfd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	self->fd = open("/dev/iommu", O_RDWR);
	ASSERT_LE(0, self->fd);
	test_ioctl_ioas_alloc(&self->ioas_id);
	test_cmd_mock_domain(self->ioas_id, NULL, &hwpt_id, NULL);

	pid = fork();
	ASSERT_LE(0, pid);
	while (!pid) {
		file_put(CGROUP "/memory.reclaim", "1M");
		if (getppid() == 1)
			_exit(1);
	}
	for (; !swapped || time(NULL) < end; round++) {
		const __u32 old = round % 2 ? round - 1 : 0;

		/* fallocate() gives up if reclaim hits pages without content */
		if (fallocate(mfd, 0, 0, size))
			ASSERT_EQ(ENOMEM, errno);
		test_ioctl_ioas_map_file(mfd, 0, size, &iova);
		/* The domain maps the pages of the file */
		ASSERT_EQ(0, check_map(self->fd, hwpt_id, mem, iova, size));
		for (i = 0; i != npages; i++) {
			__u32 *word = (__u32 *)(mem + i * PAGE_SIZE);

			ASSERT_EQ(old, *word);
			*word = round;
		}
		test_ioctl_ioas_unmap(iova, size);
		swapped |= number(MEMINFO, "SwapFree:") < swap_free;
		/* Start every other round with pages that are not zeroed yet */
		if (round % 2)
			ASSERT_EQ(0, fallocate(mfd, FALLOC_FL_PUNCH_HOLE |
						    FALLOC_FL_KEEP_SIZE,
					       0, size));
	}
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));

	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(0, munmap(mem, size));
	ASSERT_EQ(0, close(mfd));
	EXPECT_EQ(0, swapoff(disk));
	EXPECT_EQ(0, cgroup_leave());
}

/* hugetlb pages without a reservation, since no process maps the file */
TEST(hugetlb_hole)
{
	long free, rsvd = number(MEMINFO, "HugePages_Rsvd:");
	size_t page = number(MEMINFO, "Hugepagesize:") * 1024;
	struct {
		int fd;
		__u32 ioas_id;
	} _self, *self = &_self;
	__u64 iova = IOVA;
	int mfd;

	free = number(MEMINFO, "HugePages_Free:");
	if (rsvd || free < 1)
		SKIP(return, "no free huge page");
	mfd = memfd(MFD_HUGETLB);
	ASSERT_LE(0, mfd);
	ASSERT_EQ(0, ftruncate(mfd, page * (free + 1)));

	self->fd = open("/dev/iommu", O_RDWR);
	ASSERT_LE(0, self->fd);
	test_ioctl_ioas_alloc(&self->ioas_id);
	test_cmd_mock_domain(self->ioas_id, NULL, NULL, NULL);
	test_ioctl_ioas_map_file(mfd, 0, page, &iova);
	EXPECT_EQ(0, number(MEMINFO, "HugePages_Rsvd:"));
	EXPECT_EQ(free - 1, number(MEMINFO, "HugePages_Free:"));

	/* One page too many */
	test_err_ioctl_ioas_map_file(ENOMEM, mfd, 0, page * (free + 1), &iova,
				     RW);
	EXPECT_EQ(0, number(MEMINFO, "HugePages_Rsvd:"));

	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(0, close(mfd));
	EXPECT_EQ(0, number(MEMINFO, "HugePages_Rsvd:"));
	EXPECT_EQ(free, number(MEMINFO, "HugePages_Free:"));
}

TEST_HARNESS_MAIN
