using System.Reflection;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.FileProviders;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace ChatService;

internal sealed record ChatServerOptions
{
    /// <summary>What clients call the model.</summary>
    public required string Name { get; init; }

    public required Uri Url { get; init; }

    /// <summary>The collector of traces and metrics; null: none.</summary>
    public required Uri? Otlp { get; init; }

    public required int MaxNewTokens { get; init; }

    /// <summary>See <see cref="SorsaChatOptions.Template"/>.</summary>
    public required PromptTemplate? Template { get; init; }
}

/// <summary>The web application: one chat client, which decodes the requests of all callers together, behind three doors.</summary>
internal static class ChatServer
{
    /// <summary>A conversation is text: more than this is a mistake or an attack.</summary>
    private const long MaxRequestBytes = 4 << 20;

    private const string Source = nameof(ChatService);

    /// <param name="model">Stays the caller's, which disposes of it after the application.</param>
    /// <param name="options">How it is served.</param>
    public static WebApplication Build(SorsaTransformer model, ChatServerOptions options)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = MaxRequestBytes);
        builder.WebHost.UseUrls(options.Url.GetLeftPart(UriPartial.Authority));

        // A request that is refused, and a port that is taken, are said to whoever asked.
        builder.Logging.SetMinimumLevel(LogLevel.Warning)
            .AddFilter("Microsoft.Extensions.AI", LogLevel.None)
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        builder.Services.AddHealthChecks();

        // The container disposes of it when the application ends.
        builder.Services
            .AddChatClient(_ => model.AsChatClient(new SorsaChatOptions { ModelId = options.Name, Template = options.Template }))
            .ConfigureOptions(request => request.MaxOutputTokens ??= options.MaxNewTokens)
            .UseOpenTelemetry(sourceName: Source);
        if (options.Otlp is { } collector)
        {
            AddTelemetry(builder.Services, collector);
        }

        if (options.Url.IsLoopback)
        {
            // A page of another site whose name leads here is in the browser's eyes this service's own.
            builder.Services.Configure<HostFilteringOptions>(
                filter => filter.AllowedHosts = ["localhost", "127.0.0.1", "[::1]", options.Url.Host]);
        }

        WebApplication app = builder.Build();
        app.Use(AddHeaders);
        if (options.Url.IsLoopback)
        {
            app.UseHostFiltering();
        }

        var pages = new EmbeddedFileProvider(Assembly.GetExecutingAssembly(), baseNamespace: "");
        app.UseDefaultFiles(new DefaultFilesOptions { FileProvider = pages });
        app.UseStaticFiles(new StaticFileOptions { FileProvider = pages });
        app.MapHealthChecks("/health");
        app.MapChatCompletions(options.Name);

        // Made now: a model that cannot chat says so before the first request.
        _ = app.Services.GetRequiredService<IChatClient>();
        return app;
    }

    private static void AddTelemetry(IServiceCollection services, Uri collector) => services.AddOpenTelemetry()
        .ConfigureResource(resource => resource.AddService(nameof(ChatService)))
        .WithTracing(tracing => tracing.AddSource(Source).AddAspNetCoreInstrumentation())
        .WithMetrics(metrics => metrics.AddMeter(Source).AddAspNetCoreInstrumentation())
        .UseOtlpExporter(OtlpExportProtocol.HttpProtobuf, collector);

    /// <summary>The page runs its own script alone, and no other page shows it in a frame.</summary>
    private static Task AddHeaders(HttpContext context, RequestDelegate next)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        return next(context);
    }
}
