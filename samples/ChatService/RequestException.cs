namespace ChatService;

/// <summary>A request that is refused, as OpenAI's errors say it.</summary>
internal sealed class RequestException(string message, string? parameter = null, int status = 400, string? code = null) : Exception(message)
{
    public string? Parameter => parameter;

    public int Status => status;

    public string? Code => code;

    /// <summary>Without the parameter's name, which .NET puts behind it.</summary>
    public static string MessageOf(Exception error) => error.Message.Split(" (Parameter '")[0];
}
