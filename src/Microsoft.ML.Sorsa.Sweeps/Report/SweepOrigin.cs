namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>What a sweep was made of, for the head of its report.</summary>
/// <param name="Model">The name of the model's folder.</param>
/// <param name="ModelFingerprint">The model by its content.</param>
/// <param name="TrainRows">Rows to train on.</param>
/// <param name="ValidationRows">Rows that compare the trials.</param>
/// <param name="DataFingerprint">The rows by their content.</param>
/// <param name="Method">The trainer's method, where it is not varied.</param>
/// <param name="Seed">The sweep's seed.</param>
/// <param name="TrainerSeed">The seed of every trial, where it is not varied.</param>
/// <param name="Begun">When the study was begun, as the study has it: the report has no clock, so that it comes out the same again.</param>
internal sealed record SweepOrigin(
    string Model, string ModelFingerprint, int TrainRows, int ValidationRows, string DataFingerprint, FineTuningMethod Method, int Seed,
    int TrainerSeed, DateTimeOffset? Begun);
