// SPDX-License-Identifier: GPL-2.0
/*
 * The cost of IOMMUFD's ioctls on an SMMUv3, of nested translation first of
 * all. Meant for QEMU -icount shift=0 with one processor, where a nanosecond of
 * CLOCK_MONOTONIC_RAW is one instruction of the guest; elsewhere the figures
 * are nanoseconds. Each row has a name, a number of operations and the least
 * instructions of several runs for all of them, separated by tabs. A line that
 * begins with # gives the reason why rows are missing: the program also runs on
 * kernels that lack a feature. tools/testing/vm/bench compares kernels.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include "../kselftest.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/smmuv3.h"
#include "lib/vfio.h"

#define REPEAT		32
#define BUSY_REPEAT	64
#define MEM_IPA		0x100000000ULL
#define MEM_SIZE	0x400000UL
#define BIG		0x200000UL
/* Off by a page: a huge page can't be mapped by a block */
#define MAP_IPA		(2 * MEM_IPA + 4096)
#define HUGE_IPA	0x4000000000ULL
#define GIB		0x40000000UL
#define VSID		0x10
#define MAX_CMDS	65536
#define MAX_DEVICES	8
#define RW		(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

/* A device that is bound to @fd, with an IOAS of 4 MiB for each */
struct device {
	struct vfio_pci pci;
	__u32 ioas;
	/* Two HWPTs without parameters */
	__u32 plain[2];
	/* A nest parent, and what a guest has on it */
	__u32 s2;
	__u32 viommu;
	__u32 nested[2];
};

static int fd;
static void *mem;
static struct device dev;
static struct smmuv3_cmd *cmds;

static void must(int ret, const char *what)
{
	if (!ret)
		return;
	fprintf(stderr, "smmuv3_bench: %s: %s; see smmuv3_demo for what is needed\n",
		what, strerror(-ret));
	exit(1);
}

static unsigned long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* ---- Operations ---- */

static void invalidate_list(const struct smmuv3_cmd *list, unsigned int num)
{
	__u32 done = num;

	must(iommufd_invalidate(fd, dev.viommu,
				IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, list,
				sizeof(*list), &done), "IOMMU_HWPT_INVALIDATE");
}

static void invalidate(unsigned long num)
{
	invalidate_list(cmds, num);
}

static void invalidate_singly(unsigned long num)
{
	while (num--)
		invalidate(1);
}

static void invalidate_range(unsigned long npages)
{
	/* A page is 2^0 * (0 + 1) of level 3, 512 are 2^9 * (0 + 1) */
	struct smmuv3_cmd cmd = smmuv3_tlbi_nh_va(1, BIG, true);

	cmd = smmuv3_tlbi_range(cmd, 1, 0, npages == 1 ? 0 : 9,
				npages == 1 ? 3 : 0);
	invalidate_list(&cmd, 1);
}

static void invalidate_asid(unsigned long arg)
{
	struct smmuv3_cmd cmd = smmuv3_tlbi_nh_asid(1);

	invalidate_list(&cmd, 1);
}

static void plain_alloc(unsigned long arg)
{
	__u32 id;

	must(iommufd_hwpt_alloc(fd, dev.pci.dev_id, dev.ioas, 0, &id),
	     "IOMMU_HWPT_ALLOC");
	must(iommufd_destroy(fd, id), "IOMMU_DESTROY");
}

static void nested_alloc(unsigned long arg)
{
	__u32 id;

	must(iommufd_hwpt_alloc_ste(fd, dev.pci.dev_id, dev.viommu,
				    smmuv3_ste_s1(MEM_IPA), &id),
	     "IOMMU_HWPT_ALLOC");
	must(iommufd_destroy(fd, id), "IOMMU_DESTROY");
}

static void attach(__u32 id)
{
	must(vfio_pci_attach(&dev.pci, id), "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

static void attach_plain(unsigned long arg)
{
	attach(dev.plain[1]);
	attach(dev.plain[0]);
}

static void attach_nested(unsigned long arg)
{
	attach(dev.nested[1]);
	attach(dev.nested[0]);
}

static void attach_s2(unsigned long arg)
{
	attach(dev.s2);
	attach(dev.nested[0]);
}

static void map(unsigned long size)
{
	must(iommufd_ioas_map(fd, dev.ioas, mem, size, MAP_IPA, RW),
	     "IOMMU_IOAS_MAP");
}

static void unmap(unsigned long size)
{
	must(iommufd_ioas_unmap(fd, dev.ioas, MAP_IPA, size),
	     "IOMMU_IOAS_UNMAP");
}

/* The memory of a guest: an address, or a file if that is NULL */
static void *huge;
static int huge_fd;

static void map_huge(unsigned long size)
{
	if (huge)
		must(iommufd_ioas_map(fd, dev.ioas, huge, size, HUGE_IPA, RW),
		     "IOMMU_IOAS_MAP");
	else
		must(iommufd_ioas_map_file(fd, dev.ioas, huge_fd, 0, size,
					   HUGE_IPA, RW),
		     "IOMMU_IOAS_MAP_FILE");
}

static void unmap_huge(unsigned long size)
{
	must(iommufd_ioas_unmap(fd, dev.ioas, HUGE_IPA, size),
	     "IOMMU_IOAS_UNMAP");
}

/* ---- Rows ---- */

struct bench {
	const char *name;
	/* Not counted, before and after @run. Optional */
	void (*setup)(unsigned long arg);
	void (*run)(unsigned long arg);
	void (*undo)(unsigned long arg);
	unsigned long arg;
	/* Operations that one @run is. 0: 1 */
	unsigned int ops;
};

static void row(const char *prefix, const struct bench *b,
		unsigned long long count)
{
	printf("%s%s\t%u\t%llu\n", prefix, b->name, b->ops ?: 1, count);
	fflush(stdout);
}

static unsigned long long count(const struct bench *b)
{
	unsigned long long start, took;

	if (b->setup)
		b->setup(b->arg);
	start = now();
	b->run(b->arg);
	took = now() - start;
	if (b->undo)
		b->undo(b->arg);
	return took;
}

static void measure(const char *prefix, const struct bench *b)
{
	unsigned long long best = ~0ULL, took;
	int i;

	for (i = 0; i < REPEAT; i++) {
		took = count(b);
		if (took < best)
			best = took;
	}
	row(prefix, b, best);
}

static const struct bench map_rows[] = {
	{ "map 4 KiB", NULL, map, unmap, 4096 },
	{ "unmap 4 KiB", map, unmap, NULL, 4096 },
	{ "map 2 MiB, no block", NULL, map, unmap, BIG },
	{ "unmap 2 MiB, no block", map, unmap, NULL, BIG },
	{ }
};

static const struct bench plain_rows[] = {
	{ "HWPT alloc and destroy", NULL, plain_alloc },
	{ "attach to another, twice", NULL, attach_plain },
	{ }
};

static const struct bench nested_rows[] = {
	{ "HWPT alloc and destroy", NULL, nested_alloc },
	{ "attach to another, twice", NULL, attach_nested },
	{ "attach stage 2 and back", NULL, attach_s2 },
	{ "invalidate 1", NULL, invalidate, NULL, 1, 1 },
	{ "invalidate 16", NULL, invalidate, NULL, 16, 16 },
	{ "invalidate 64", NULL, invalidate, NULL, 64, 64 },
	{ "invalidate 256", NULL, invalidate, NULL, 256, 256 },
	{ "invalidate 1024", NULL, invalidate, NULL, 1024, 1024 },
	{ "invalidate 4096", NULL, invalidate, NULL, 4096, 4096 },
	{ "invalidate 65536", NULL, invalidate, NULL, 65536, 65536 },
	{ }
};

/*
 * The commands of a Linux guest whose driver unmaps a buffer. Strict: at each
 * unmap TLBI_NH_VA for the buffer, one with a range, or one for each page.
 * Lazy: TLBI_NH_ASID after 256 unmaps. QEMU issues an ioctl for each command,
 * OpenVMM for each CMD_SYNC. An operation is an unmap of the guest.
 */
static const struct bench guest_rows[] = {
	{ "strict, 4 KiB", NULL, invalidate_range, NULL, 1 },
	{ "strict, 2 MiB", NULL, invalidate_range, NULL, 512 },
	{ "strict, 2 MiB without ranges, call per command", NULL,
	  invalidate_singly, NULL, 512 },
	{ "strict, 2 MiB without ranges, call per sync", NULL, invalidate, NULL,
	  512 },
	{ "lazy", NULL, invalidate_asid, NULL, 0, 256 },
	{ }
};

/* None of these may cost more because there are more objects */
static const struct bench growth_rows[] = {
	{ "invalidate 1", NULL, invalidate, NULL, 1 },
	{ "attach to another, twice", NULL, attach_nested },
	{ "unmap 4 KiB", map, unmap, NULL, 4096 },
	{ }
};

static void measure_all(const char *prefix, const struct bench *b)
{
	for (; b->name; b++)
		measure(prefix, b);
}

static bool open_device(struct device *d, unsigned int n)
{
	if (vfio_pci_find(&d->pci, EDU_VENDOR, EDU_DEVICE, n))
		return false;
	must(vfio_pci_take(&d->pci), "vfio-pci");
	must(vfio_pci_open(&d->pci), "vfio cdev");
	must(vfio_pci_bind_iommufd(&d->pci, fd), "VFIO_DEVICE_BIND_IOMMUFD");
	must(iommufd_ioas_alloc(fd, &d->ioas), "IOMMU_IOAS_ALLOC");
	must(iommufd_ioas_map(fd, d->ioas, mem, MEM_SIZE, MEM_IPA, RW),
	     "IOMMU_IOAS_MAP");
	return true;
}

/* A guest with device @d on the nest parent @s2. -errno if that is refused */
static int nest(struct device *d, __u32 s2, __u64 vsid)
{
	unsigned int i;
	__u32 id;
	int ret;

	d->s2 = s2;
	ret = iommufd_viommu_alloc(fd, d->pci.dev_id, s2,
				   IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &d->viommu);
	if (!ret)
		ret = iommufd_vdevice_alloc(fd, d->viommu, d->pci.dev_id, vsid,
					    &id);
	for (i = 0; !ret && i < 2; i++)
		ret = iommufd_hwpt_alloc_ste(fd, d->pci.dev_id, d->viommu,
					     smmuv3_ste_s1(MEM_IPA + 64 * i),
					     &d->nested[i]);
	return ret ?: vfio_pci_attach(&d->pci, d->nested[0]);
}

static void measure_plain(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		must(iommufd_hwpt_alloc(fd, dev.pci.dev_id, dev.ioas, 0,
					&dev.plain[i]), "IOMMU_HWPT_ALLOC");
	attach(dev.plain[0]);
	measure_all("plain: ", plain_rows);
	must(iommufd_destroy(fd, dev.plain[1]), "IOMMU_DESTROY");
	measure_all("plain: ", map_rows);
}

/* ---- A guest's memory ---- */

/*
 * Take 1 GiB of memory with pages of the mmap() @flags, from a file if @file.
 * Print a reason if there is none.
 */
static bool huge_alloc(const char *pages, int flags, int advice, bool file)
{
	const unsigned int shift = flags >> MAP_HUGE_SHIFT;
	FILE *number;

	/* Pages of 1 GiB are reserved at boot */
	number = shift != 21 ? NULL :
		 fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
		       "we");
	if (number) {
		fprintf(number, "%lu", GIB >> shift);
		fclose(number);
	}
	huge_fd = -1;
	if (file) {
		huge_fd = memfd_create("guest", MFD_CLOEXEC |
				       (flags ? MFD_HUGETLB | flags : 0));
		if (huge_fd < 0 || ftruncate(huge_fd, GIB))
			goto none;
	}
	huge = mmap(NULL, GIB, PROT_READ | PROT_WRITE,
		    file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS |
					(flags ? MAP_HUGETLB | flags : 0),
		    huge_fd, 0);
	if (huge == MAP_FAILED)
		goto none;
	if (advice)
		madvise(huge, GIB, advice);
	memset(huge, 1, GIB);
	return true;
none:
	printf("# 1 GiB, %s%s: %s\n", pages, file ? ", file" : "",
	       strerror(errno));
	if (huge_fd >= 0)
		close(huge_fd);
	return false;
}

static void measure_huge(const char *pages, bool file)
{
	char name[80];
	struct bench b = { .name = name, .arg = GIB };
	void *va = huge;
	int ret = 0;

	if (file) {
		huge = NULL;
		ret = iommufd_ioas_map_file(fd, dev.ioas, huge_fd, 0, 4096,
					    HUGE_IPA, RW);
		if (!ret)
			must(iommufd_ioas_unmap(fd, dev.ioas, HUGE_IPA, 4096),
			     "IOMMU_IOAS_UNMAP");
	}
	if (ret) {
		printf("# 1 GiB, %s, file: %s\n", pages, strerror(-ret));
	} else {
		snprintf(name, sizeof(name), "map 1 GiB, %s%s", pages,
			 file ? ", file" : "");
		b.run = map_huge;
		b.undo = unmap_huge;
		measure("plain: ", &b);
		snprintf(name, sizeof(name), "unmap 1 GiB, %s%s", pages,
			 file ? ", file" : "");
		b.setup = map_huge;
		b.run = unmap_huge;
		b.undo = NULL;
		measure("plain: ", &b);
	}
	munmap(va, GIB);
	if (file)
		close(huge_fd);
}

static void measure_memory(void)
{
	static const struct {
		const char *name;
		int flags;
		int advice;
	} pages[] = {
		{ "4 KiB pages", 0, MADV_NOHUGEPAGE },
		{ "THP", 0, MADV_HUGEPAGE },
		{ "hugetlb 2 MiB", 21 << MAP_HUGE_SHIFT },
		{ "hugetlb 1 GiB", 30 << MAP_HUGE_SHIFT },
	};
	unsigned int i, file;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		for (file = 0; file < 2; file++) {
			/* A mount option decides that for a file */
			if (file && pages[i].advice == MADV_HUGEPAGE)
				continue;
			if (huge_alloc(pages[i].name, pages[i].flags,
				       pages[i].advice, file))
				measure_huge(pages[i].name, file);
		}
	}
}

/* ---- Several guests ---- */

static void measure_among(unsigned int num, const char *objects)
{
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "%u %s: ", num, objects);
	measure_all(prefix, growth_rows);
}

/* Each of these guests has a device on the first one's stage 2, attached */
static void measure_growth(void)
{
	static struct device more;
	unsigned int num, next, i;
	__u32 id;

	measure_among(1, "vIOMMUs");
	/* Device 1 is measure_busy()'s. One that shares a group can't nest. */
	for (num = 1, i = 2; num < MAX_DEVICES && open_device(&more, i); i++)
		num += !nest(&more, dev.s2, VSID + i);
	if (num == MAX_DEVICES)
		measure_among(num, "vIOMMUs");
	else
		printf("# %u vIOMMUs: only %u devices\n", MAX_DEVICES, num);
	for (num = 2, next = 16; next <= 4096; next *= 16) {
		for (; num < next; num++)
			must(iommufd_hwpt_alloc_ste(fd, dev.pci.dev_id,
						    dev.viommu,
						    smmuv3_ste_s1(MEM_IPA),
						    &id), "IOMMU_HWPT_ALLOC");
		measure_among(num, "HWPTs");
	}
}

static bool stop;

static void *invalidate_forever(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		invalidate(MAX_CMDS);
	return NULL;
}

/*
 * The cost for another device while a guest invalidates without a pause from
 * two threads: the most of many runs. With one processor a thread with a
 * real-time priority waits for the commands of the others, not for their time.
 */
static void measure_busy(void)
{
	static const struct bench rows[] = {
		{ "unmap 4 KiB", map, unmap, NULL, 4096 },
		{ "unmap 2 MiB, no block", map, unmap, NULL, BIG },
		{ "attach to another, twice", NULL, attach_plain },
		{ }
	};
	const struct timespec pause = { .tv_nsec = 20000000 };
	struct sched_param fifo = { .sched_priority = 1 };
	struct device guest = dev, other = { };
	const struct bench *b;
	pthread_t threads[2];
	unsigned int busy, i;

	if (!open_device(&other, 1)) {
		printf("# busy: there is no second device\n");
		return;
	}
	for (i = 0; i < 2; i++)
		must(iommufd_hwpt_alloc(fd, other.pci.dev_id, other.ioas, 0,
					&other.plain[i]), "IOMMU_HWPT_ALLOC");
	/* The operations use dev, the threads what is the same in both */
	other.viommu = guest.viommu;
	dev = other;
	attach(dev.plain[0]);
	for (busy = 0; busy < 2; busy++) {
		for (i = 0; busy && i < 2; i++)
			must(-pthread_create(&threads[i], NULL,
					     invalidate_forever, NULL),
			     "thread");
		must(-pthread_setschedparam(pthread_self(), SCHED_FIFO, &fifo),
		     "SCHED_FIFO");
		for (b = rows; b->name; b++) {
			unsigned long long most = 0, took;

			for (i = 0; i < BUSY_REPEAT; i++) {
				nanosleep(&pause, NULL);
				took = count(b);
				if (took > most)
					most = took;
			}
			row(busy ? "busy: " : "idle: ", b, most);
		}
		fifo.sched_priority = 0;
		must(-pthread_setschedparam(pthread_self(), SCHED_OTHER, &fifo),
		     "SCHED_OTHER");
		fifo.sched_priority = 1;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	dev = guest;
}

int main(int argc, char **argv)
{
	unsigned int i;
	__u32 s2;
	int ret;

	fd = iommufd_open();
	must(fd < 0 ? fd : 0, "/dev/iommu");
	/* The cost of a map depends on how many pages are adjacent */
	mem = aligned_alloc(BIG, MEM_SIZE);
	cmds = calloc(MAX_CMDS, sizeof(*cmds));
	if (!mem || !cmds)
		must(-ENOMEM, "memory");
	must(madvise(mem, MEM_SIZE, MADV_HUGEPAGE) ? -errno : 0, "huge pages");
	memset(mem, 1, MEM_SIZE);
	for (i = 0; i < MAX_CMDS; i++)
		cmds[i] = smmuv3_tlbi_nh_va(1, (__u64)i << 12, true);

	must(open_device(&dev, 0) ? 0 : -ENODEV, "edu");
	measure_plain();
	if (argc > 1 && !strcmp(argv[1], "memory"))
		measure_memory();

	ret = iommufd_hwpt_alloc(fd, dev.pci.dev_id, dev.ioas,
				 IOMMU_HWPT_ALLOC_NEST_PARENT, &s2);
	if (ret) {
		printf("# nested: %s\n", strerror(-ret));
		return 0;
	}
	must(nest(&dev, s2, VSID), "a nested HWPT");
	must(iommufd_destroy(fd, dev.plain[0]), "IOMMU_DESTROY");
	measure_all("nested: ", nested_rows);
	measure_all("nested: ", map_rows);
	measure_all("guest: ", guest_rows);
	measure_busy();
	measure_growth();
	return 0;
}
