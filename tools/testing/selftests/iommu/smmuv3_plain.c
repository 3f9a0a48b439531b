// SPDX-License-Identifier: GPL-2.0
/*
 * An SMMUv3 without nesting, for lack of a stage or of cacheability. Everything
 * else works as usual. Requests for the missing features are refused, with no
 * fallback.
 */
#include <sys/syscall.h>

#include "smmuv3_utils.h"

FIXTURE(plain)
{
	struct vm vm;
	struct guest_dev dev;
	bool s1;
	bool s2;
	__u32 hwpt;
};

FIXTURE_SETUP(plain)
{
	const char *why = guest_init(_metadata, &self->vm, &self->dev, 0);

	if (why)
		SKIP(return, "%s", why);
	self->s1 = self->dev.info.idr[0] & IDR0_S1P;
	self->s2 = self->dev.info.idr[0] & IDR0_S2P;
}

FIXTURE_TEARDOWN(plain)
{
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

/* The device reaches its memory only */
static void check_dma(struct __test_metadata *_metadata, struct vm *vm,
		      struct guest_dev *dev)
{
	dma_prime(dev);
	dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_reads(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_read_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
}

TEST_F(plain, attach_ioas)
{
	test_attach(&self->dev, self->vm.ioas);
	check_dma(_metadata, &self->vm, &self->dev);
}

TEST_F(plain, attach_hwpt)
{
	struct vm *vm = &self->vm;

	test_hwpt_alloc(vm->fd, self->dev.id, vm->ioas, 0, &self->hwpt);
	test_attach(&self->dev, self->hwpt);
	check_dma(_metadata, vm, &self->dev);
}

TEST_F(plain, attach_nest_parent)
{
	struct vm *vm = &self->vm;

	if (!self->s1 || !self->s2) {
		/* Neither stage 1 as a substitute nor a useless stage 2 */
		test_err_hwpt_alloc(EOPNOTSUPP, vm->fd, self->dev.id, vm->ioas,
				    IOMMU_HWPT_ALLOC_NEST_PARENT, &self->hwpt);
		return;
	}
	test_hwpt_alloc(vm->fd, self->dev.id, vm->ioas,
			IOMMU_HWPT_ALLOC_NEST_PARENT, &self->hwpt);
	test_attach(&self->dev, self->hwpt);
	check_dma(_metadata, vm, &self->dev);
}

TEST_F(plain, msi)
{
	int efd = eventfd(0, EFD_CLOEXEC);

	ASSERT_LE(0, efd);
	test_attach(&self->dev, self->vm.ioas);
	FACT(vfio_pci_set_msi(&self->dev.pci, efd));
	ASSERT_TRUE(msi_arrives(&self->dev, efd, MSI_WAIT_MSEC));
	ASSERT_TRUE(msi_arrives(&self->dev, efd, MSI_WAIT_MSEC));
	FACT(vfio_pci_set_msi(&self->dev.pci, -1));
	close(efd);
}

/*
 * A detached device can't reach a doorbell. A refused MSI leaves nothing
 * behind; the IRQ core reports each refusal as ENOSPC.
 */
TEST_F(plain, msi_while_not_attached)
{
	struct guest_dev *dev = &self->dev;
	int efd = eventfd(0, EFD_CLOEXEC);
	unsigned int i;

	ASSERT_LE(0, efd);
	for (i = 0; i < 3; i++) {
		REFUSED(ENOSPC, vfio_pci_set_msi(&dev->pci, efd));
		test_attach(dev, self->vm.ioas);
		FACT(vfio_pci_set_msi(&dev->pci, efd));
		ASSERT_TRUE(msi_arrives(dev, efd, MSI_WAIT_MSEC));
		/* The address in the device stays valid */
		test_detach(dev);
		test_attach(dev, self->vm.ioas);
		ASSERT_TRUE(msi_arrives(dev, efd, MSI_WAIT_MSEC));
		test_detach(dev);
		FACT(vfio_pci_set_msi(&dev->pci, -1));
	}
	close(efd);
}

/* A write-only mapping shows the stage: stage 1 makes it readable */
TEST_F(plain, write_only_mapping)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u64 iova = vm_ipa(vm, NR_DATA);

	test_ioas_map(vm, 1, iova, WRITEABLE);
	test_hwpt_alloc(vm->fd, dev->id, vm->ioas, 0, &self->hwpt);
	test_attach(dev, self->hwpt);
	dma_prime(dev);
	dma_writes(dev, iova, vm_page(vm, 1));
	if (self->s1)
		dma_reads(dev, iova, vm_page(vm, 1));
	else
		dma_read_blocked(dev, iova, vm_page(vm, 1));

	if (!self->s1 || !self->s2)
		return;
	test_hwpt_alloc(vm->fd, dev->id, vm->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
			&vm->s2);
	test_attach(dev, vm->s2);
	dma_writes(dev, iova, vm_page(vm, 1));
	dma_read_blocked(dev, iova, vm_page(vm, 1));
}

TEST_F(plain, read_only_mapping)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u64 iova = vm_ipa(vm, NR_DATA);

	test_ioas_map(vm, 1, iova, READABLE);
	test_attach(dev, vm->ioas);
	dma_prime(dev);
	dma_reads(dev, iova, vm_page(vm, 1));
	dma_write_blocked(dev, iova, vm_page(vm, 1));
}

/* Map memory by its file descriptor, without any mapping in user space */
TEST_F(plain, memfd)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u64 iova = vm_ipa(vm, NR_DATA);
	int fd = syscall(__NR_memfd_create, "guest", 0);
	void *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 3 * vm->page));
	FACT(iommufd_ioas_map_file(vm->fd, vm->ioas, fd, vm->page, vm->page,
				   iova, READABLE | WRITEABLE));
	test_attach(dev, vm->ioas);
	/* Map it only now, and not from the start of the file */
	mem = mmap(NULL, vm->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   vm->page);
	ASSERT_NE(MAP_FAILED, mem);
	close(fd);
	dma_prime(dev);
	dma_writes(dev, iova, mem);
	dma_reads(dev, iova, mem);
	test_ioas_unmap(vm, iova, vm->page);
	dma_write_blocked(dev, iova, mem);
	dma_read_blocked(dev, iova, mem);
	munmap(mem, vm->page);
}

TEST_F(plain, viommu_refused)
{
	struct vm *vm = &self->vm;
	__u32 flags = self->s1 && self->s2 ? IOMMU_HWPT_ALLOC_NEST_PARENT : 0;

	if (!smmuv3_why_no_nesting(&self->dev.info))
		SKIP(return, "this machine nests: see smmuv3_nested");
	test_hwpt_alloc(vm->fd, self->dev.id, vm->ioas, flags, &self->hwpt);
	test_err_viommu_alloc(EOPNOTSUPP, vm->fd, self->dev.id, self->hwpt,
			      &vm->viommu);
	/* EOPNOTSUPP comes before the lookup of the HWPT */
	test_err_viommu_alloc(EOPNOTSUPP, vm->fd, self->dev.id, ID_UNKNOWN,
			      &vm->viommu);
	test_err_viommu_alloc(ENOENT, vm->fd, ID_UNKNOWN, self->hwpt,
			      &vm->viommu);
}

TEST_HARNESS_MAIN
