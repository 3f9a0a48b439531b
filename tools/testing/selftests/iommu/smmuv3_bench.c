// SPDX-License-Identifier: GPL-2.0
/*
 * What the ioctls of nested translation cost. Meant for QEMU -icount shift=0
 * with one processor, where a nanosecond of CLOCK_MONOTONIC_RAW is one
 * instruction of the guest; elsewhere the figures are nanoseconds. The least of
 * several runs is printed, and nothing is judged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/smmuv3.h"
#include "lib/vfio.h"

#define REPEAT		8
#define MEM_IPA		0x100000000ULL
#define MEM_SIZE	0x400000UL
#define BIG		0x200000UL
#define VSID		0x10

static int fd;
static struct vfio_pci pci;
static __u32 ioas, s2, viommu, nested[2];
static void *mem;

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

struct bench {
	const char *name;
	void (*run)(unsigned int arg);
	/* Undo what @run did, not counted. Optional */
	void (*undo)(unsigned int arg);
	unsigned int arg;
	/* Operations that one @run is */
	unsigned int per;
};

static struct smmuv3_cmd *cmds;

static void invalidate(unsigned int num)
{
	__u32 done = num;

	must(iommufd_invalidate(fd, viommu,
				IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, cmds,
				sizeof(*cmds), &done), "IOMMU_HWPT_INVALIDATE");
}

static void nested_alloc(unsigned int arg)
{
	__u32 id;

	must(iommufd_hwpt_alloc_ste(fd, pci.dev_id, viommu,
				    smmuv3_ste_s1(MEM_IPA), &id),
	     "IOMMU_HWPT_ALLOC");
	must(iommufd_destroy(fd, id), "IOMMU_DESTROY");
}

static void attach(__u32 id)
{
	must(vfio_pci_attach(&pci, id), "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

static void attach_nested(unsigned int arg)
{
	attach(nested[1]);
	attach(nested[0]);
}

static void attach_s2(unsigned int arg)
{
	attach(s2);
	attach(nested[0]);
}

static void map(unsigned int size)
{
	/* Off by a page from what could be a block */
	must(iommufd_ioas_map(fd, ioas, mem + 4096, size, 2 * MEM_IPA,
			      IOMMU_IOAS_MAP_READABLE |
			      IOMMU_IOAS_MAP_WRITEABLE), "IOMMU_IOAS_MAP");
}

static void unmap(unsigned int size)
{
	must(iommufd_ioas_unmap(fd, ioas, 2 * MEM_IPA, size),
	     "IOMMU_IOAS_UNMAP");
}

static void measure(const struct bench *b)
{
	unsigned long long best = ~0ULL, start, took;
	int i;

	for (i = 0; i < REPEAT; i++) {
		start = now();
		b->run(b->arg);
		took = now() - start;
		if (b->undo)
			b->undo(b->arg);
		if (took < best)
			best = took;
	}
	printf("%-44s %10llu", b->name, best);
	if (b->per > 1)
		printf(" %8llu each", best / b->per);
	printf("\n");
	fflush(stdout);
}

static void measure_unmap(const char *name, unsigned int size)
{
	unsigned long long best = ~0ULL, start, took;
	int i;

	for (i = 0; i < REPEAT; i++) {
		map(size);
		start = now();
		unmap(size);
		took = now() - start;
		if (took < best)
			best = took;
	}
	printf("%-44s %10llu\n", name, best);
}

int main(void)
{
	static const struct bench benches[] = {
		{ "invalidate, 1 TLBI_NH_VA", invalidate, NULL, 1, 1 },
		{ "invalidate, 16", invalidate, NULL, 16, 16 },
		{ "invalidate, 64", invalidate, NULL, 64, 64 },
		{ "invalidate, 256", invalidate, NULL, 256, 256 },
		{ "invalidate, 1024", invalidate, NULL, 1024, 1024 },
		{ "invalidate, 4096", invalidate, NULL, 4096, 4096 },
		{ "invalidate, 65536", invalidate, NULL, 65536, 65536 },
		{ "nested HWPT alloc and destroy", nested_alloc, NULL, 0, 1 },
		{ "attach nested to nested, twice", attach_nested, NULL, 0, 1 },
		{ "attach stage 2 and back to nested", attach_s2, NULL, 0, 1 },
		{ "IOAS map 4 KiB", map, unmap, 4096, 1 },
		{ "IOAS map 2 MiB, no block", map, unmap, BIG, 1 },
		{ NULL },
	};
	__u32 vdev;
	size_t i;

	fd = iommufd_open();
	must(fd < 0 ? fd : 0, "/dev/iommu");
	must(vfio_pci_find(&pci, EDU_VENDOR, EDU_DEVICE, 0), "edu");
	must(vfio_pci_take(&pci), "vfio-pci");
	must(vfio_pci_open(&pci), "vfio cdev");
	must(vfio_pci_bind_iommufd(&pci, fd), "VFIO_DEVICE_BIND_IOMMUFD");

	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	cmds = calloc(65536, sizeof(*cmds));
	if (mem == MAP_FAILED || !cmds)
		must(-ENOMEM, "memory");
	for (i = 0; i < 65536; i++)
		cmds[i] = smmuv3_tlbi_nh_va(1, i << 12, true);

	must(iommufd_ioas_alloc(fd, &ioas), "IOMMU_IOAS_ALLOC");
	must(iommufd_ioas_map(fd, ioas, mem, MEM_SIZE, MEM_IPA,
			      IOMMU_IOAS_MAP_READABLE |
			      IOMMU_IOAS_MAP_WRITEABLE), "IOMMU_IOAS_MAP");
	must(iommufd_hwpt_alloc(fd, pci.dev_id, ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &s2),
	     "nest parent");
	must(iommufd_viommu_alloc(fd, pci.dev_id, s2,
				  IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &viommu),
	     "IOMMU_VIOMMU_ALLOC");
	must(iommufd_vdevice_alloc(fd, viommu, pci.dev_id, VSID, &vdev),
	     "IOMMU_VDEVICE_ALLOC");
	for (i = 0; i < 2; i++)
		must(iommufd_hwpt_alloc_ste(fd, pci.dev_id, viommu,
					    smmuv3_ste_s1(MEM_IPA + 64 * i),
					    &nested[i]), "nested HWPT");
	attach(nested[0]);

	for (i = 0; benches[i].name; i++)
		measure(&benches[i]);
	measure_unmap("IOAS unmap 4 KiB", 4096);
	measure_unmap("IOAS unmap 2 MiB, no block", BIG);
	return 0;
}
