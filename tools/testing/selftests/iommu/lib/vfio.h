/* SPDX-License-Identifier: GPL-2.0 */
/* PCI devices through the vfio cdev. All functions return 0 or -errno. */
#ifndef SELFTEST_IOMMU_LIB_VFIO_H
#define SELFTEST_IOMMU_LIB_VFIO_H

#include <stddef.h>
#include <linux/types.h>

/**
 * struct vfio_pci - A PCI function used by this process
 * @bdf: its name in sysfs, for example 0000:00:01.0
 * @fd: the vfio cdev
 * @dev_id: its iommufd object, once bound
 * @bar0: mapping of BAR0, or NULL
 * @bar0_size: bytes
 */
struct vfio_pci {
	char bdf[16];
	int fd;
	__u32 dev_id;
	void *bar0;
	size_t bar0_size;
};

/**
 * vfio_pci_find() - Find a PCI function by its ids
 * @pci: receives the name
 * @vendor: PCI vendor id
 * @device: PCI device id
 * @index: index among the matching functions, ordered by name
 *
 * Return: 0, or -ENODEV
 */
int vfio_pci_find(struct vfio_pci *pci, unsigned int vendor,
		  unsigned int device, unsigned int index);

/**
 * vfio_pci_take() - Give the function to the vfio-pci driver
 * @pci: the function; unchanged if vfio-pci already drives it
 *
 * Return: 0; -ENODEV if vfio-pci did not bind (no driver, no IOMMU group);
 * or the errno from sysfs
 */
int vfio_pci_take(struct vfio_pci *pci);

/* Unbind vfio-pci and let the kernel pick a driver again */
int vfio_pci_give_back(struct vfio_pci *pci);

/* Open the cdev */
int vfio_pci_open(struct vfio_pci *pci);

/* Bind the cdev to @iommufd: sets @pci->dev_id and enables the device */
int vfio_pci_bind_iommufd(struct vfio_pci *pci, int iommufd);

/* Attach to an IOAS or HWPT, replacing the current one */
int vfio_pci_attach(struct vfio_pci *pci, __u32 pt_id);
int vfio_pci_detach(struct vfio_pci *pci);

int vfio_pci_map_bar0(struct vfio_pci *pci);

/* Let the device do DMA and send MSIs */
int vfio_pci_set_master(struct vfio_pci *pci);

/* Route the device's first MSI to @eventfd; -1 disables MSI */
int vfio_pci_set_msi(struct vfio_pci *pci, int eventfd);
int vfio_pci_reset(struct vfio_pci *pci);

/* Unmap and close; closing unbinds the device */
void vfio_pci_close(struct vfio_pci *pci);

#endif
