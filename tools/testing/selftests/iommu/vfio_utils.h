/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common parts of the tests of vfio containers: a container, its memory, and a
 * device opened by its group.
 */
#ifndef SELFTEST_IOMMU_VFIO_UTILS_H
#define SELFTEST_IOMMU_VFIO_UTILS_H

#include <linux/vfio.h>

#include "smmuv3_utils.h"
#include "lib/vfio_container.h"

#define MAP_READ	VFIO_DMA_MAP_FLAG_READ
#define MAP_WRITE	VFIO_DMA_MAP_FLAG_WRITE
#define MAP_RW		(MAP_READ | MAP_WRITE)

/* Their errnos differ, and both are ABI */
enum container_kind {
	CONTAINER_TYPE1,
	CONTAINER_IOMMUFD,
	NR_CONTAINERS,
};

static const char * const container_paths[NR_CONTAINERS] = {
	[CONTAINER_TYPE1] = "/dev/vfio/vfio",
	[CONTAINER_IOMMUFD] = "/dev/iommu",
};

/**
 * struct container - A container with its memory and device
 * @fd: the container
 * @page: host page size
 * @data: NR_DATA pages, mapped by the tests that use them
 * @group: group of @dev
 * @dev: the device, open or not; its mailbox is the last data page
 */
struct container {
	int fd;
	size_t page;
	void *data;
	int group;
	struct guest_dev dev;
};

static inline void *container_page(struct container *c, unsigned int i)
{
	return c->data + i * c->page;
}

static inline __u64 container_iova(struct container *c, unsigned int i)
{
	return DATA_IPA + i * c->page;
}

/* Map @nr data pages, from page @i on, in one mapping */
static inline int container_map(struct container *c, unsigned int i,
				unsigned int nr, __u32 flags)
{
	return vfio_container_map(c->fd, container_page(c, i), nr * c->page,
				  container_iova(c, i), flags);
}

/* Unmap; also fails if the kernel reports another size */
static inline int container_unmap(struct container *c, unsigned int i,
				  unsigned int nr)
{
	__u64 size = nr * c->page;
	int ret;

	ret = vfio_container_unmap(c->fd, container_iova(c, i), &size, 0);
	if (!ret && size != nr * c->page)
		return -EPROTO;
	return ret;
}

static inline const char *container_why_not(enum container_kind kind)
{
	const char *path = container_paths[kind];
	const char *why;
	int fd;

	why = guest_dev_why_not(0);
	if (why)
		return why;
	fd = vfio_container_open(path);
	if (fd < 0)
		return kind == CONTAINER_TYPE1 ?
			       "no /dev/vfio/vfio: CONFIG_VFIO_CONTAINER" :
			       "no /dev/iommu: CONFIG_IOMMUFD";
	close(fd);
	return NULL;
}

/* Open an empty container, and a group outside it */
static inline void container_init(struct __test_metadata *_metadata,
				  struct container *c, enum container_kind kind)
{
	memset(c, 0, sizeof(*c));
	c->page = sysconf(_SC_PAGESIZE);
	c->fd = vfio_container_open(container_paths[kind]);
	ASSERT_LE(0, c->fd);
	c->data = mmap(NULL, NR_DATA * c->page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, c->data);

	FACT(vfio_pci_find(&c->dev.pci, EDU_VENDOR, EDU_DEVICE, 0));
	FACT(vfio_pci_take(&c->dev.pci));
	c->group = vfio_group_open(&c->dev.pci);
	ASSERT_LE(0, c->group);
}

static inline void container_close(struct container *c)
{
	guest_dev_close(&c->dev);
	close(c->group);
	close(c->fd);
	munmap(c->data, NR_DATA * c->page);
}

/* Open a device by its group; the container's IOMMU must be set */
static inline void group_open_dev(struct __test_metadata *_metadata,
				  struct container *c, int group,
				  struct guest_dev *dev, unsigned int mbox)
{
	FACT(vfio_group_open_device(group, &dev->pci));
	FACT(vfio_pci_map_bar0(&dev->pci));
	FACT(vfio_pci_set_master(&dev->pci));
	dev->edu.bar = dev->pci.bar0;
	FACT(edu_init(&dev->edu));
	dev->edu.mbox = container_page(c, mbox);
	dev->edu.mbox_iova = container_iova(c, mbox);
}

static inline void container_open_dev(struct __test_metadata *_metadata,
				      struct container *c)
{
	group_open_dev(_metadata, c, c->group, &c->dev, NR_DATA - 1);
}

/* Set everything up for DMA. The mailbox is the first mapping. */
static inline void container_start(struct __test_metadata *_metadata,
				   struct container *c, unsigned int type)
{
	FACT(vfio_group_set_container(c->group, c->fd));
	FACT(vfio_container_set_iommu(c->fd, type));
	container_open_dev(_metadata, c);
	FACT(container_map(c, NR_DATA - 1, 1, MAP_RW));
	dma_prime(&c->dev);
}

/* The device reads and writes data page @i */
static inline void dma_reaches(struct __test_metadata *_metadata,
			       struct container *c, unsigned int i)
{
	dma_writes(&c->dev, container_iova(c, i), container_page(c, i));
	dma_reads(&c->dev, container_iova(c, i), container_page(c, i));
}

static inline void dma_blocked(struct __test_metadata *_metadata,
			       struct container *c, unsigned int i)
{
	dma_write_blocked(&c->dev, container_iova(c, i), container_page(c, i));
	dma_read_blocked(&c->dev, container_iova(c, i), container_page(c, i));
}

#endif
