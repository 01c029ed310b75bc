#!/usr/bin/env nextflow
// Counts to markers: convert, qc, subset, run, export.
//
//     nextflow run main.nf --counts 'data/*.h5'
//
// Exit code 5 means that something is in the way now: such a task is tried again.

params.counts = 'counts.h5'
params.genes = 'mt=MT-'
params.cells = 'n_genes_by_counts > 200 and pct_counts_mt < 20'
params.pipeline = "${projectDir}/pipeline.yaml"
params.outdir = 'results'

process CLUSTERS {
    tag { counts.baseName }
    publishDir params.outdir, mode: 'copy'
    cpus 2
    memory '4 GB'
    errorStrategy { task.exitStatus == 5 ? 'retry' : 'terminate' }
    maxRetries 3

    input:
    path counts
    path pipeline

    output:
    tuple val(counts.baseName), path("${counts.baseName}.clusters.h5ad"), emit: clusters
    path "${counts.baseName}.qc.txt", emit: qc

    script:
    def work = "--threads ${task.cpus} --memory ${task.memory.toMega().intdiv(4)}MiB"
    """
    mkdir steps  # whatever the name of the input is, none of these is in its place
    lazyomics convert ${counts} steps/counts.h5ad ${work}
    lazyomics qc steps/counts.h5ad --genes '${params.genes}' -o steps/qc.h5ad ${work} > ${counts.baseName}.qc.txt
    lazyomics subset steps/qc.h5ad --obs '${params.cells}' -o steps/cells.h5ad ${work}
    lazyomics run ${pipeline} --input steps/cells.h5ad -o ${counts.baseName}.clusters.h5ad ${work}
    """
}

process EXPORT {
    tag { name }
    publishDir params.outdir, mode: 'copy'

    input:
    tuple val(name), path(clusters)

    output:
    path "${name}.*.csv"

    script:
    """
    lazyomics export ${clusters} obs -o ${name}.obs.csv
    lazyomics export ${clusters} markers --top 20 -o ${name}.markers.csv
    """
}

workflow {
    CLUSTERS(Channel.fromPath(params.counts, checkIfExists: true), file(params.pipeline))
    EXPORT(CLUSTERS.out.clusters)
}
